// Safetensors: what is written is read, by us and by NumPy; what is not sound is refused with a reason.
#include "store/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/bytes.h"
#include "base/file.h"
#include "base/random.h"

namespace likeness {
namespace {

using testing::HasSubstr;

std::string File(std::string_view header, std::string_view data) {
  const uint64_t size = header.size();
  return std::string(reinterpret_cast<const char*>(&size), 8) + std::string(header) + std::string(data);
}

absl::Status OpenStatus(std::string content) { return Safetensors::Open(Blob::Of(std::move(content))).status(); }

std::string Sample() {
  const std::array<float, 3> f = {1.5f, -2, 0};
  const std::array<int64_t, 2> i = {-1, int64_t{1} << 40};
  const std::array<uint16_t, 4> h = {0x3c00, 0xc000, 0, 0x7bff};  // 1, -2, 0, 65504
  const std::array<uint8_t, 5> u = {1, 2, 3, 4, 255};
  const TensorData tensors[] = {{{"u8", Dtype::kU8, {5}}, std::as_bytes(std::span(u))},
                                {{"f32", Dtype::kF32, {3}}, std::as_bytes(std::span(f))},
                                {{"f16", Dtype::kF16, {2, 2}}, std::as_bytes(std::span(h))},
                                {{"i64", Dtype::kI64, {2}}, std::as_bytes(std::span(i))},
                                {{"none", Dtype::kF16, {0, 7}}, {}}};
  return *WriteSafetensors(tensors, {{"note", "a \"quoted\" \\ text\n"}});
}

TEST(Safetensors, WhatIsWrittenIsRead) {
  const Safetensors file = *Safetensors::Open(Blob::Of(Sample()));
  EXPECT_EQ(file.Metadata("note").value(), "a \"quoted\" \\ text\n");
  EXPECT_THAT(*file.Elements<float>("f32", Dtype::kF32), testing::ElementsAre(1.5f, -2, 0));
  EXPECT_THAT(*file.Elements<int64_t>("i64", Dtype::kI64), testing::ElementsAre(-1, int64_t{1} << 40));
  EXPECT_EQ(file.Find("f16")->spec.shape, (std::vector<uint64_t>{2, 2}));
  EXPECT_EQ(file.Elements<uint16_t>("none", Dtype::kF16)->size(), 0u);
  EXPECT_TRUE(file.VerifyChecksum().ok());
  EXPECT_EQ(file.Elements<float>("i64", Dtype::kF32).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(file.Elements<float>("absent", Dtype::kF32).status().code(), absl::StatusCode::kDataLoss);
}

TEST(Safetensors, TheDataAreaIsAlignedAndTheBytesAreFixed) {
  const std::string bytes = Sample();
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), 8);
  EXPECT_EQ((8 + header) % 64, 0u);
  EXPECT_EQ(bytes, Sample());
}

TEST(Safetensors, EveryTurnedDataBitIsFound) {
  const std::string good = Sample();
  const size_t data = good.size() - (8 * 2 + 4 * 3 + 2 * 4 + 5);
  for (size_t at = data; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] ^= 4;
    EXPECT_EQ(Safetensors::Open(Blob::Of(bad))->VerifyChecksum().code(), absl::StatusCode::kDataLoss) << at;
  }
}

TEST(Safetensors, EveryTruncationIsRefused) {
  const std::string good = Sample();
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_EQ(OpenStatus(good.substr(0, size)).code(), absl::StatusCode::kDataLoss) << size;
  }
}

TEST(Safetensors, NoRandomDamageIsMoreThanARefusal) {
  const uint64_t seed = 7;
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  const std::string good = Sample();
  for (int i = 0; i < 20'000; ++i) {
    std::string bad = good;
    for (uint64_t n = 1 + random.Below(3); n > 0; --n) bad[random.Below(bad.size())] = static_cast<char>(random());
    const auto file = Safetensors::Open(Blob::Of(std::move(bad)));
    if (!file.ok()) continue;
    uint64_t sum = 0;
    for (const Safetensors::Tensor& tensor : file->tensors()) {
      for (const std::byte b : tensor.bytes) sum += static_cast<uint64_t>(b);
    }
    EXPECT_LT(sum, 1'000'000u);
  }
}

TEST(Safetensors, HostileHeadersAreRefusedWithTheReason) {
  const std::pair<const char*, const char*> cases[] = {
      {R"([])", "begin with"},
      {R"({"a":5})", "a number"},
      {R"({"a":null})", "a null"},
      {R"({"a":[]})", "a list"},
      {R"({"a":{"dtype":"U8","shape":[4]}})", "without"},
      {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0]}})", "without"},
      {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4,5]}})", "more than two"},
      {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4],"x":1}})", "unknown field"},
      {R"({"a":{"dtype":"U8","dtype":"U8","shape":[4],"data_offsets":[0,4]}})", "twice"},
      {R"({"a":{"dtype":"U8","shape":[-4],"data_offsets":[0,4]}})", "negative"},
      {R"({"a":{"dtype":"U8","shape":[4.0],"data_offsets":[0,4]}})", "not an integer"},
      {R"({"a":{"dtype":"U8","shape":[99999999999999999999],"data_offsets":[0,4]}})", "not an integer"},
      {R"({"a":{"dtype":"U8","shape":[[4]],"data_offsets":[0,4]}})", "a list"},
      {R"({"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,4],"data_offsets":[0,4]}})", "too many dimensions"},
      {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,5]}})", "beyond the file"},
      {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[4,0]}})", "gap"},
      {R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[1,4]}})", "gap"},
      {R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}})", "after the last"},
      {R"({"a":{"dtype":"U8","shape":[5],"data_offsets":[0,4]}})", "as large as its shape"},
      {R"({"a":{"dtype":"F16","shape":[4],"data_offsets":[0,4]}})", "as large as its shape"},
      {R"({"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", "as large as its shape"},
      {R"({"a":{"dtype":"I64","shape":[2305843009213693952],"data_offsets":[0,0]}})", "as large as its shape"},
      {R"({"a":{"dtype":"U8","shape":[4294967296,4294967296,0],"data_offsets":[0,0]}})", "as large as its shape"},
      {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[3],"data_offsets":[1,4]}})",
       "overlaps"},
      {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
       "twice"},
      {R"({"__metadata__":{"a":1}})", "a number"},
      {R"({"__metadata__":{"a":{}}})", "an object"},
      {R"({"__metadata__":{"a":"","a":""}})", "twice"},
      {R"({"__metadata__":{},"__metadata__":{}})", "twice"},
      {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}x)", "not JSON"},
      {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}},)", "not JSON"},
      {R"({"a)", "not JSON"},
  };
  for (const auto& [header, reason] : cases) {
    const absl::Status status = OpenStatus(File(header, "1234"));
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << header;
    EXPECT_THAT(std::string(status.message()), HasSubstr(reason)) << header;
  }
  const std::string good = R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})";
  EXPECT_TRUE(OpenStatus(File(good, "1234")).ok());
  EXPECT_TRUE(OpenStatus(File(good + "   ", "1234")).ok());
  EXPECT_EQ(OpenStatus(File(good + std::string("\0}", 2), "1234")).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(OpenStatus(File("\xef\xbb\xbf" + good, "1234")).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(OpenStatus(std::string(8, '\xff') + good).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(OpenStatus(File(R"({"a":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}})", "1234")).code(),
            absl::StatusCode::kUnimplemented);
}

TEST(Safetensors, AHeaderOfVeryManyNamesIsRefused) {
  std::string header = "{\"__metadata__\":{\"0\":\"\"";
  for (int i = 1; i < 150'000; ++i) header += ",\"" + std::to_string(i) + "\":\"\"";
  EXPECT_THAT(std::string(OpenStatus(File(header + "}}", "")).message()), HasSubstr("too many names"));
}

TEST(Safetensors, UnalignedElementsAreRefusedNotRead) {
  const std::string header = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  ASSERT_EQ(header.size() % 4, 2u);
  EXPECT_EQ(Safetensors::Open(Blob::Of(File(header, "1234")))->Elements<float>("a", Dtype::kF32).status().code(),
            absl::StatusCode::kDataLoss);
  EXPECT_TRUE(Safetensors::Open(Blob::Of(File(header + "  ", "1234")))->Elements<float>("a", Dtype::kF32).ok());
}

TEST(SafetensorsWriter, RefusesMisuse) {
  std::string out;
  const auto writer = *SafetensorsWriter::ToString(out, {{"a", Dtype::kU8, {2}}, {"b", Dtype::kU8, {1}}}, {});
  EXPECT_EQ(writer->Append("b", AsBytes("1")).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(writer->Append("a", AsBytes("123")).code(), absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(writer->Append("a", AsBytes("1")).ok());
  EXPECT_EQ(writer->Seal().code(), absl::StatusCode::kFailedPrecondition);
  for (const std::vector<TensorSpec>& specs : std::vector<std::vector<TensorSpec>>{
           {{"a", Dtype::kU8, {}}, {"a", Dtype::kI8, {}}},
           {{"__metadata__", Dtype::kU8, {}}},
           {{"a", Dtype::kI64, {uint64_t{1} << 62}}},
           {{"a", Dtype::kU8, {uint64_t{1} << 62}}, {"b", Dtype::kU8, {uint64_t{1} << 62}}}}) {
    EXPECT_EQ(SafetensorsWriter::ToString(out, specs, {}).status().code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_FALSE(SafetensorsWriter::ToString(out, {}, {{"checksum", "1"}}).ok());
}

TEST(SafetensorsWriter, AFileIsThereWhenSealedAndNotBefore) {
  const std::filesystem::path path = std::filesystem::path(testing::TempDir()) / "likeness_writer.safetensors";
  std::filesystem::remove(path);
  const std::vector<TensorSpec> specs = {{"a", Dtype::kF32, {600'000}}};
  const std::string data(2'400'000, 'x');
  {
    const auto writer = *SafetensorsWriter::ToFile(path, specs, {});
    ASSERT_TRUE(writer->Append("a", AsBytes(data.substr(0, 100))).ok());
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_FALSE(std::filesystem::exists(path.string() + ".partial"));
  const auto writer = *SafetensorsWriter::ToFile(path, specs, {});
  for (size_t at = 0; at < data.size(); at += 7000) {
    ASSERT_TRUE(writer->Append("a", AsBytes(std::string_view(data).substr(at, 7000))).ok());
  }
  ASSERT_TRUE(writer->Seal().ok());
  const TensorData tensor{specs[0], AsBytes(data)};
  EXPECT_EQ(*ReadFile(path), *WriteSafetensors(std::span(&tensor, 1), {}));
  std::filesystem::remove(path);
}

// The reader here is the format's own definition in twelve lines of NumPy, none of our code.
TEST(Safetensors, NumPyReadsIt) {
  const std::string venv = std::string(LIKENESS_SOURCE_DIR) + "/.venv/bin/python";
  const char* named = std::getenv("LIKENESS_PYTHON");
  const std::string python = named != nullptr ? named : std::filesystem::exists(venv) ? venv : "python3";
  if (std::system((python + " -c 'import numpy' >/dev/null 2>&1").c_str()) != 0) {
    GTEST_SKIP() << "no Python with NumPy: scripts/setup makes .venv";
  }
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir());
  ASSERT_TRUE(WriteFileAtomic(folder / "likeness_numpy.safetensors", AsBytes(Sample())).ok());
  std::ofstream(folder / "likeness_numpy.py") << R"(
import json, struct, sys
import numpy as np
raw = open(sys.argv[1], "rb").read()
size, = struct.unpack("<Q", raw[:8])
header = json.loads(raw[8:8 + size])
assert header.pop("__metadata__")["note"] == 'a "quoted" \\ text\n'
kinds = {"U8": np.uint8, "F16": np.float16, "F32": np.float32, "I64": np.int64}
def tensor(name):
    t = header[name]
    begin, end = t["data_offsets"]
    assert (8 + size + begin) % np.dtype(kinds[t["dtype"]]).itemsize == 0
    return np.frombuffer(raw[8 + size + begin:8 + size + end], kinds[t["dtype"]]).reshape(t["shape"])
assert tensor("u8").tolist() == [1, 2, 3, 4, 255]
assert tensor("f32").tolist() == [1.5, -2, 0]
assert tensor("f16").tolist() == [[1, -2], [0, 65504]]
assert tensor("i64").tolist() == [-1, 1 << 40]
assert tensor("none").shape == (0, 7)
try:
    from safetensors.numpy import load
    assert load(raw)["f16"].tolist() == [[1, -2], [0, 65504]]
except ImportError:
    pass
)";
  EXPECT_EQ(std::system((python + " " + (folder / "likeness_numpy.py").string() + " " +
                         (folder / "likeness_numpy.safetensors").string())
                            .c_str()),
            0);
}

}  // namespace
}  // namespace likeness
