// Fingerprints as bytes: what protobuf itself would write, and back.
#include "store/fingerprint_codec.h"

#include <fingerprint.pb.h>
#include <gtest/gtest.h>

#include "base/random.h"

namespace likeness {
namespace {

// The slow twin: through the message that the schema gives.
std::string ThroughProtobuf(const Fingerprint& fingerprint) {
  proto::Fingerprint message;
  message.set_width(fingerprint.width);
  message.set_height(fingerprint.height);
  for (const Fingerprint::Deep& deep : fingerprint.deep) {
    proto::Fingerprint::Deep& out = *message.add_deep();
    out.set_type(deep.key.type);
    out.set_version(deep.key.version);
    out.set_code(deep.value.code.data(), deep.value.code.size() * sizeof(uint64_t));
    out.set_vector(deep.value.vector.data(), deep.value.vector.size());
    out.set_norm(deep.value.norm);
  }
  for (const Fingerprint::Plain& plain : fingerprint.plain) {
    proto::Fingerprint::Plain& out = *message.add_plain();
    out.set_type(plain.key.type);
    out.set_version(plain.key.version);
    out.set_value(plain.value);
  }
  return message.SerializeAsString();
}

// Sizes around those where a length takes another byte, and the defaults that are not written.
size_t SomeSize(Random& random) {
  constexpr size_t kSizes[] = {0, 0, 1, 2, 16, 127, 128, 300, 16'383, 16'384};
  return kSizes[random.Below(std::size(kSizes))];
}

TEST(FingerprintCodec, WritesWhatProtobufWrites) {
  const uint64_t seed = 20261122;
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  std::string all;
  for (int round = 0; round < 500; ++round) {
    Fingerprint fingerprint;
    fingerprint.width = static_cast<uint32_t>(random() >> random.Below(64));
    fingerprint.height = random.Below(3) == 0 ? 0 : static_cast<uint32_t>(random() >> random.Below(64));
    for (uint64_t i = 0, count = random.Below(4); i < count; ++i) {
      Fingerprint::Deep deep;
      deep.key = {"deep.model" + std::to_string(i), random.Below(4) == 0 ? "" : "0123456789ab"};
      deep.value.code.resize(SomeSize(random) / 8, random());
      deep.value.vector.resize(SomeSize(random), static_cast<int8_t>(random()));
      if (random.Below(3) > 0) deep.value.norm = static_cast<float>(random.Unit() * 1000);
      if (random.Below(10) == 0) deep.value.norm = -0.0F;
      fingerprint.deep.push_back(std::move(deep));
    }
    for (uint64_t i = 0, count = random.Below(4); i < count; ++i) {
      fingerprint.plain.push_back({{"plain" + std::to_string(i), "v"}, std::string(SomeSize(random), 'x')});
    }
    const std::string expected = ThroughProtobuf(fingerprint);
    const auto bytes = EncodeFingerprint(fingerprint);
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    ASSERT_EQ(*bytes, expected) << "round " << round;
    const size_t before = all.size();
    ASSERT_TRUE(AppendFingerprint(fingerprint, all).ok());
    ASSERT_EQ(all.substr(before), expected) << "round " << round;
    const auto back = DecodeFingerprint(fingerprint.signature, *bytes);
    ASSERT_TRUE(back.ok()) << back.status();
    ASSERT_EQ(*EncodeFingerprint(*back), expected) << "round " << round;
  }
}

TEST(FingerprintCodec, RefusesFeaturesThatAreNotInOrder) {
  Fingerprint fingerprint;
  fingerprint.plain = {{{"pdq", "b"}, ""}, {{"pdq", "a"}, ""}};
  std::string out = "kept";
  EXPECT_EQ(AppendFingerprint(fingerprint, out).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(out, "kept");
}

}  // namespace
}  // namespace likeness
