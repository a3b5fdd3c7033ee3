// Feature shards and epoch lists: sorted, whole, the same bytes however they were cut.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "base/bytes.h"
#include "base/file.h"
#include "base/random.h"
#include "store/epoch_list.h"
#include "store/feature_shard.h"

namespace likeness {
namespace {

using testing::ElementsAre;

const ShardId kShard{*Epoch::Parse("2026-11-22"), 3};

FeatureShardInfo Info(bool ragged = false) { return {{"deep.test", "0123456789ab"}, kShard, Dtype::kF16, 4, ragged}; }

Signature Sig(uint64_t i) { return Signature::Of(AsBytes(std::to_string(i))); }

struct Image {
  Signature signature;
  std::vector<uint16_t> value;
  std::string failure;
};

std::vector<Image> Images(size_t count, bool ragged, size_t reasons, Random& random) {
  std::vector<Image> images(count);
  for (size_t i = 0; i < count; ++i) {
    images[i].signature = Sig(i);
    if (random.Below(3) == 0) {
      images[i].failure = "reason " + std::to_string(random.Below(reasons));
    } else {
      images[i].value.resize(4 * (ragged ? random.Below(4) : 1));
      for (uint16_t& half : images[i].value) half = static_cast<uint16_t>(random());
    }
  }
  return images;
}

void AddTo(FeatureShardWriter& writer, const Image& image) {
  if (image.failure.empty()) {
    ASSERT_TRUE(writer.Add(image.signature, {640, 480}, std::span<const uint16_t>(image.value)).ok());
  } else {
    ASSERT_TRUE(writer.AddFailure(image.signature, image.failure).ok());
  }
}

TEST(FeatureShard, HoldsWhatWasAdded) {
  for (const bool ragged : {false, true}) {
    Random random(1);
    const std::vector<Image> images = Images(50, ragged, 3, random);
    FeatureShardWriter writer(Info(ragged));
    for (const Image& image : images) AddTo(writer, image);
    const FeatureShard shard = *FeatureShard::Open(Blob::Of(*writer.Seal()));
    EXPECT_EQ(shard.info(), Info(ragged));
    EXPECT_TRUE(shard.VerifyChecksum().ok());
    ASSERT_EQ(shard.size(), images.size());
    EXPECT_TRUE(std::ranges::is_sorted(shard.signatures()));
    for (const Image& image : images) {
      const size_t i = shard.Find(image.signature).value();
      EXPECT_EQ(shard.has_value(i), image.failure.empty());
      EXPECT_EQ(shard.failure(i), image.failure);
      if (image.failure.empty()) {
        EXPECT_TRUE(std::ranges::equal(shard.halves(i), image.value));
        EXPECT_EQ(shard.image_size(i), (ImageSize{640, 480}));
      } else {
        EXPECT_EQ(shard.halves(i).size(), ragged ? 0u : 4u);
        EXPECT_TRUE(std::ranges::all_of(shard.halves(i), [](uint16_t half) { return half == 0; }));
      }
    }
    EXPECT_FALSE(shard.Find(Sig(1000)));
  }
}

TEST(FeatureShard, MayBeEmpty) {
  for (const bool ragged : {false, true}) {
    const FeatureShard shard = *FeatureShard::Open(Blob::Of(*FeatureShardWriter(Info(ragged)).Seal()));
    EXPECT_EQ(shard.size(), 0u);
    EXPECT_FALSE(shard.Find(Sig(1)));
  }
}

TEST(FeatureShard, BytesDoNotDependOnOrderOrCut) {
  const uint64_t seed = 20261122;
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  for (int round = 0; round < 30; ++round) {
    const bool ragged = round % 2 == 1;
    std::vector<Image> images = Images(1 + random.Below(1500), ragged, round % 5 == 0 ? 900 : 4, random);
    FeatureShardWriter whole(Info(ragged));
    for (const Image& image : images) AddTo(whole, image);
    const std::string want = *whole.Seal();

    std::shuffle(images.begin(), images.end(), random);
    std::vector<FeatureShardWriter> writers(1 + random.Below(6), FeatureShardWriter(Info(ragged)));
    for (const Image& image : images) {
      const size_t first = random.Below(writers.size()), second = random.Below(writers.size());
      AddTo(writers[first], image);
      if (second != first && random.Below(4) == 0) AddTo(writers[second], image);  // Computed twice, with equal result.
    }
    std::vector<FeatureShard> parts;
    for (FeatureShardWriter& writer : writers) parts.push_back(*FeatureShard::Open(Blob::Of(*writer.Seal())));
    ASSERT_EQ(*MergeFeatureShards(parts), want) << "round " << round;
    const std::filesystem::path path = std::filesystem::path(testing::TempDir()) / "likeness_merged";
    ASSERT_TRUE(MergeFeatureShardsToFile(parts, path).ok());
    ASSERT_EQ(*ReadFile(path), want);
    const FeatureShard merged = *FeatureShard::Open(Blob::Of(want));
    ASSERT_EQ(*MergeFeatureShards(std::span(&merged, 1)), want) << "merging a shard alone changes it";
    std::filesystem::remove(path);
  }
}

TEST(FeatureShard, AContradictionBetweenPartsIsDataLoss) {
  const std::array<uint16_t, 4> a = {1, 2, 3, 4}, b = {1, 2, 3, 5};
  const auto part = [](auto fill) {
    FeatureShardWriter writer(Info());
    fill(writer);
    return *FeatureShard::Open(Blob::Of(*writer.Seal()));
  };
  const auto value = [&](const std::array<uint16_t, 4>& v, ImageSize size) {
    return part([&](auto& w) { ASSERT_TRUE(w.Add(Sig(1), size, std::span<const uint16_t>(v)).ok()); });
  };
  const auto failure = [&](const char* reason) {
    return part([&](auto& w) { ASSERT_TRUE(w.AddFailure(Sig(1), reason).ok()); });
  };
  const auto merged = [](std::vector<FeatureShard> parts) { return MergeFeatureShards(parts).status().code(); };
  EXPECT_EQ(merged({value(a, {1, 1}), value(a, {1, 1})}), absl::StatusCode::kOk);
  // Processors that round in different ways: the same one stays, whoever came first.
  EXPECT_EQ(*MergeFeatureShards(std::vector{value(a, {1, 1}), value(b, {1, 1})}),
            *MergeFeatureShards(std::vector{value(b, {1, 1}), value(a, {1, 1})}));
  EXPECT_EQ(*MergeFeatureShards(std::vector{failure("cut off"), value(a, {1, 1})}),
            *MergeFeatureShards(std::vector{value(a, {1, 1})}));
  EXPECT_EQ(*MergeFeatureShards(std::vector{failure("z"), failure("a")}),
            *MergeFeatureShards(std::vector{failure("a"), failure("z")}));
  EXPECT_EQ(merged({}), absl::StatusCode::kInvalidArgument);
  FeatureShardInfo other = Info();
  other.layout.dimension = 8;
  EXPECT_EQ(merged({value(a, {1, 1}), *FeatureShard::Open(Blob::Of(*FeatureShardWriter(other).Seal()))}),
            absl::StatusCode::kInvalidArgument);
}

TEST(FeatureShardWriter, RefusesMisuseAndKeepsAnyReason) {
  FeatureShardWriter writer(Info());
  const std::array<uint16_t, 5> values{};
  EXPECT_FALSE(writer.Add(Sig(1), {}, std::span(values)).ok());
  ASSERT_TRUE(writer.Add(Sig(1), {}, std::span(values).first(4)).ok());
  EXPECT_EQ(writer.Add(Sig(1), {}, std::span(values).first(4)).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(writer.AddFailure(Sig(1), "x").code(), absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(writer.AddFailure(Sig(2), "\xff\xfe \x01 \"odd\"").ok());
  ASSERT_TRUE(writer.AddFailure(Sig(3), "").ok());
  const std::string bytes = *writer.Seal();
  const FeatureShard shard = *FeatureShard::Open(Blob::Of(bytes));
  EXPECT_THAT(std::string(shard.failure(*shard.Find(Sig(2)))), testing::HasSubstr("\"odd\""));
  EXPECT_FALSE(shard.failure(*shard.Find(Sig(3))).empty());
  EXPECT_EQ(*MergeFeatureShards(std::span(&shard, 1)), bytes);
  EXPECT_FALSE(FeatureShardWriter(FeatureShardInfo{}).Seal().ok());
}

// A sound safetensors file that is no sound shard: each case changes one thing.
TEST(FeatureShard, RefusesWhatContradictsItself) {
  const std::array<Signature, 2> sorted = {std::min(Sig(1), Sig(2)), std::max(Sig(1), Sig(2))};
  struct Parts {
    std::vector<Signature> signatures;
    std::vector<uint8_t> status = {0, 1};
    std::vector<int32_t> sizes = {1, 1, 0, 0};
    std::vector<uint16_t> values = {1, 2, 3, 4};
    std::vector<int64_t> offsets;
    SafetensorsMetadata metadata = {
        {"format", "likeness.feature-shard"}, {"format_version", "1"},  {"epoch", "2026-11-22"},    {"shard", "0"},
        {"feature_type", "deep.x"},           {"feature_version", "1"}, {"reasons", "[\"broken\"]"}};
  };
  const auto open = [&](auto change) {
    Parts p;
    p.signatures.assign(sorted.begin(), sorted.end());
    change(p);
    std::vector<TensorData> tensors = {
        {{"signatures", Dtype::kU8, {p.signatures.size(), 16}}, std::as_bytes(std::span(p.signatures))},
        {{"status", Dtype::kU8, {p.status.size()}}, std::as_bytes(std::span(p.status))},
        {{"sizes", Dtype::kI32, {p.sizes.size() / 2, 2}}, std::as_bytes(std::span(p.sizes))},
        {{"values", Dtype::kF16, {p.values.size() / 2, 2}}, std::as_bytes(std::span(p.values))}};
    if (!p.offsets.empty()) {
      tensors.push_back({{"offsets", Dtype::kI64, {p.offsets.size()}}, std::as_bytes(std::span(p.offsets))});
    }
    return FeatureShard::Open(Blob::Of(*WriteSafetensors(tensors, p.metadata))).status().code();
  };
  EXPECT_EQ(open([](Parts&) {}), absl::StatusCode::kOk);
  EXPECT_EQ(open([](Parts& p) { p.offsets = {0, 2, 2}; }), absl::StatusCode::kOk);
  EXPECT_EQ(open([](Parts& p) { p.metadata["format_version"] = "2"; }), absl::StatusCode::kUnimplemented);
  const std::vector<std::function<void(Parts&)>> faults = {
      [](Parts& p) { std::swap(p.signatures[0], p.signatures[1]); },
      [](Parts& p) { p.signatures[1] = p.signatures[0]; },
      [](Parts& p) { p.status[1] = 2; },
      [](Parts& p) { p.status.pop_back(); },
      [](Parts& p) { p.sizes.resize(2); },
      [](Parts& p) { p.sizes[0] = -1; },
      [](Parts& p) { p.values.resize(6); },
      [](Parts& p) {
        p.offsets = {0, 2};
      },
      [](Parts& p) {
        p.offsets = {0, 1, 2};
      },  // a failed image with a row
      [](Parts& p) {
        p.offsets = {0, 3, 2};
      },
      [](Parts& p) {
        p.offsets = {1, 2, 2};
      },
      [](Parts& p) {
        p.offsets = {0, 1, 1};
      },
      [](Parts& p) {
        p.offsets = {0, -1, 2};
      },
      [](Parts& p) { p.metadata["format"] = "likeness.epoch-list"; },
      [](Parts& p) { p.metadata["format_version"] = "01"; },
      [](Parts& p) { p.metadata["format_version"] = "0"; },
      [](Parts& p) { p.metadata["epoch"] = "2026-02-30"; },
      [](Parts& p) { p.metadata["shard"] = "-1"; },
      [](Parts& p) { p.metadata["feature_type"] = "deep.x/y"; },
      [](Parts& p) { p.metadata["reasons"] = "[1]"; },
      [](Parts& p) { p.metadata["reasons"] = "[\"\"]"; },
      [](Parts& p) { p.metadata["reasons"] = "["; },
      [](Parts& p) { p.metadata.erase("reasons"); },
  };
  for (size_t i = 0; i < faults.size(); ++i) EXPECT_EQ(open(faults[i]), absl::StatusCode::kDataLoss) << "fault " << i;
}

TEST(EpochList, HoldsSortedSignatures) {
  std::vector<Signature> signatures;
  for (uint64_t i = 0; i < 1000; ++i) signatures.push_back(Sig(i));
  EXPECT_EQ(WriteEpochList(kShard, signatures).status().code(), absl::StatusCode::kInvalidArgument);
  std::ranges::sort(signatures);
  const EpochList list = *EpochList::Open(Blob::Of(*WriteEpochList(kShard, signatures)));
  EXPECT_EQ(list.shard(), kShard);
  EXPECT_TRUE(std::ranges::equal(list.signatures(), signatures));
  EXPECT_TRUE(list.VerifyChecksum().ok());
  EXPECT_TRUE(EpochList::Open(Blob::Of(*WriteEpochList(kShard, {}))).ok());
  EXPECT_EQ(EpochList::Open(Blob::Of(*FeatureShardWriter(Info()).Seal())).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace likeness
