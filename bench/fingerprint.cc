// Random access to fingerprint files: a million images in shards of 200,000, each with what a default home computes.
//
// Warm: every file has been read once, so that what is measured is the reader and not the disk. Each get is checked
// against the image that was written.
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/clock.h"
#include "base/random.h"
#include "bench/flags.h"
#include "bench/report.h"
#include "store/fingerprint_file.h"

namespace likeness {
namespace {

constexpr uint64_t kShard = 200'000;
constexpr uint64_t kSeed = 22;
constexpr int kGets = 50'000;
constexpr uint32_t kKeypoints = 150;  // of a photograph in the middle of ccp/ and products/

Signature NthSignature(uint64_t n) { return Signature::Of(std::as_bytes(std::span(&n, 1))); }

std::string Bytes(Random& random, size_t size) {
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.Below(256));
  return bytes;
}

// Width and height tell which image it is.
Fingerprint Make(const Signature& signature, Random& random) {
  Fingerprint made;
  made.signature = signature;
  made.width = std::to_integer<uint32_t>(signature.bytes[0]) + 1;
  made.height = std::to_integer<uint32_t>(signature.bytes[1]) + 1;
  DeepCode code;
  code.code.resize(1024 / 64);
  for (uint64_t& word : code.code) word = random();
  code.vector.resize(1280);
  for (int8_t& value : code.vector) value = static_cast<int8_t>(random.Below(255)) - 127;
  code.norm = 1;
  made.deep.push_back({{"deep.efficientnet_lite1", "0123456789ab"}, std::move(code)});
  made.plain.push_back({{"color", "0123456789ab"}, Bytes(random, 5 * 4 * 2)});
  made.plain.push_back({{"local", "0123456789ab"}, Bytes(random, kKeypoints * 18)});
  made.plain.push_back({{"pdq", "0123456789ab"}, Bytes(random, 33)});
  return made;
}

std::filesystem::path Write(const std::filesystem::path& folder, uint32_t shard, const std::vector<Signature>& sorted) {
  const auto path = folder / (std::to_string(shard) + ".sst");
  Random random(kSeed + shard);
  // One value for all would compress in caches; a thousand different ones do not.
  std::vector<Fingerprint> values;
  for (size_t i = 0; i < 1000; ++i) values.push_back(Make(sorted[i % sorted.size()], random));
  auto writer = FingerprintWriter::Create(path, {*Epoch::Parse("2026-11-22"), shard});
  if (!writer.ok()) BenchFail("cannot write: " + MessageOf(writer.status()));
  for (size_t i = 0; i < sorted.size(); ++i) {
    Fingerprint& value = values[i % values.size()];
    value.signature = sorted[i];
    value.width = std::to_integer<uint32_t>(sorted[i].bytes[0]) + 1;
    value.height = std::to_integer<uint32_t>(sorted[i].bytes[1]) + 1;
    if (const absl::Status added = (*writer)->Add(value); !added.ok()) BenchFail(MessageOf(added));
  }
  if (const absl::Status sealed = (*writer)->Seal(); !sealed.ok()) BenchFail(MessageOf(sealed));
  return path;
}

int Run(uint64_t images) {
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("likeness_bench_fingerprint_" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  BenchReport report("fingerprint");
  BenchReport::Say("writing " + std::to_string(images) + " fingerprints");
  std::vector<std::vector<Signature>> shards;
  std::vector<std::unique_ptr<FingerprintFile>> files;
  uint64_t bytes = 0;
  const Stopwatch writing;
  for (uint64_t begin = 0; begin < images; begin += kShard) {
    std::vector<Signature>& shard = shards.emplace_back();
    for (uint64_t i = begin; i < std::min(images, begin + kShard); ++i) shard.push_back(NthSignature(i));
    std::ranges::sort(shard);
    const auto path = Write(folder, static_cast<uint32_t>(shards.size() - 1), shard);
    bytes += std::filesystem::file_size(path);
    auto file = FingerprintFile::Open(path);
    if (!file.ok()) BenchFail(MessageOf(file.status()));
    files.push_back(*std::move(file));
  }
  const double write_seconds = writing.Milliseconds() / 1e3;
  BenchReport::Say("warming");
  bool right = true;
  for (const auto& file : files) right = right && file->VerifyChecksum().ok();
  Random random(kSeed);
  std::vector<double> micros;
  for (int i = 0; i < kGets; ++i) {
    const size_t shard = random.Below(shards.size());
    const Signature& wanted = shards[shard][random.Below(shards[shard].size())];
    const Stopwatch watch;
    const absl::StatusOr<Fingerprint> got = files[shard]->Get(wanted);
    micros.push_back(watch.Milliseconds() * 1e3);
    right = right && got.ok() && got->signature == wanted &&
            got->width == std::to_integer<uint32_t>(wanted.bytes[0]) + 1 &&
            got->height == std::to_integer<uint32_t>(wanted.bytes[1]) + 1 && got->plain.size() == 3 &&
            got->deep.size() == 1;
  }
  const bool missing_is_said = absl::IsNotFound(files[0]->Get(NthSignature(images + 1)).status());
  files.clear();
  std::filesystem::remove_all(folder);
  using Better = BenchResult::Better;
  report.Add({"get_p50", Percentile(micros, 50), "us", 20, Better::kLower, right});
  report.Add({"get_p99", Percentile(micros, 99), "us", 100, Better::kLower, right && missing_is_said});
  report.Add({"bytes_an_image", static_cast<double>(bytes) / static_cast<double>(images), "bytes"});
  report.Add({"write", static_cast<double>(bytes) / 1e6 / write_seconds, "MB/s"});
  return report.Finish();
}

}  // namespace
}  // namespace likeness

int main(int argc, char** argv) {
  size_t images = 1'000'000;
  likeness::ReadBenchFlags(argc, argv, {{"--images", &images}});
  return likeness::Run(images);
}
