// The same picture always gives the same vector, in the layout the card asks for, and codes keep angles.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "base/random.h"
#include "feature/binarizer.h"
#include "feature/deep.h"
#include "support/scratch_folder.h"
#include "support/tiny_model.h"

namespace likeness {
namespace {

using testing::Each;

// A model that hands its input through, or fails, or gives what is no number.
class EchoModel final : public Model {
 public:
  explicit EchoModel(size_t size, float add = 0) : size_(size), add_(add) {}
  size_t input_size() const override { return size_; }
  size_t output_size() const override { return size_; }
  size_t batch() const override { return 4; }
  absl::Status Run(std::span<const float> images, size_t, std::span<float> out) const override {
    for (size_t i = 0; i < out.size(); ++i) out[i] = images[i] + add_;
    return absl::OkStatus();
  }

 private:
  size_t size_;
  float add_;
};

ModelCard Card(uint32_t width = 8, uint32_t height = 8) {
  ModelCard card = MakeTinyCard("echo");
  card.input.width = width;
  card.input.height = height;
  return card;
}

DeepExtractor Echo(const ModelCard& card, float add = 0) {
  return DeepExtractor(card, std::make_unique<EchoModel>(size_t{3} * card.input.width * card.input.height, add), {});
}

Pixels Plain(uint32_t width, uint32_t height, std::array<uint8_t, 3> color) {
  Pixels pixels{width, height, {}, width, height};
  for (size_t i = 0; i < size_t{width} * height; ++i) pixels.rgb.insert(pixels.rgb.end(), color.begin(), color.end());
  return pixels;
}

TEST(DeepExtractor, LaysChannelsOutAsTheCardSays) {
  const Pixels pixels = Plain(20, 10, {255, 127, 0});
  ModelCard card = Card(4, 2);
  card.input.mean = {127, 0, 100};
  card.input.scale = {1 / 128.f, 1, 0.5f};
  std::vector<float> tensor(24);
  Echo(card).Prepare(pixels, std::nullopt, tensor);
  EXPECT_THAT(std::span(tensor).first(8), Each(1.f));
  EXPECT_THAT(std::span(tensor).subspan(8, 8), Each(127.f));
  EXPECT_THAT(std::span(tensor).last(8), Each(-50.f));
  card.input.layout = "NHWC";
  card.input.channel_order = "BGR";
  Echo(card).Prepare(pixels, std::nullopt, tensor);
  for (size_t i = 0; i < 24; i += 3) {
    EXPECT_EQ(tensor[i], -127 / 128.f);
    EXPECT_EQ(tensor[i + 1], 127.f);
    EXPECT_EQ(tensor[i + 2], 77.5f);
  }
}

TEST(DeepExtractor, SeveralLayersCountAlike) {
  const ScratchFolder scratch;
  const ModelFiles model = *InstallTinyModel(scratch.path(), "tiny");
  const auto whole = *DeepExtractor::Create(model, {.layer = "features+logits"});
  const auto features = *DeepExtractor::Create(model, {.layer = "features"});
  const auto logits = *DeepExtractor::Create(model, {.layer = "logits"});
  EXPECT_EQ(whole->dimension(), features->dimension() + logits->dimension());
  EXPECT_NE(whole->key(), features->key());
  EXPECT_NE(whole->key(), DeepFeatureKey(model.card, {.layer = "logits+features"}));

  const Pixels pictures[] = {Plain(20, 20, {250, 10, 30}), Plain(20, 20, {20, 200, 90})};
  const auto cosine = [&](const DeepExtractor& extractor) {
    std::vector<float> tensors(2 * extractor.tensor_size()), vectors(2 * extractor.dimension());
    for (size_t i = 0; i < 2; ++i) {
      extractor.Prepare(pictures[i], std::nullopt,
                        std::span(tensors).subspan(i * extractor.tensor_size(), extractor.tensor_size()));
    }
    EXPECT_TRUE(extractor.Extract(tensors, 2, vectors).ok());
    double dot = 0, a = 0, b = 0;
    for (size_t i = 0; i < extractor.dimension(); ++i) {
      const double x = vectors[i], y = vectors[extractor.dimension() + i];
      dot += x * y;
      a += x * x;
      b += y * y;
    }
    return dot / std::sqrt(a * b);
  };
  EXPECT_NEAR(cosine(*whole), (cosine(*features) + cosine(*logits)) / 2, 1e-3);
}

TEST(DeepExtractor, ClipsRegionsAndIgnoresThoseOutside) {
  Pixels pixels = Plain(20, 20, {0, 0, 0});
  for (size_t y = 10; y < 20; ++y) {
    for (size_t x = 10; x < 20; ++x) pixels.rgb[(y * 20 + x) * 3] = 255;
  }
  const DeepExtractor extractor = Echo(Card());
  std::vector<float> tensor(192), whole(192);
  for (const Region region : {Region{10, 10, 10, 10}, Region{10, 10, 500, 500}, Region{10, 10, INT32_MAX, INT32_MAX}}) {
    extractor.Prepare(pixels, region, tensor);
    EXPECT_THAT(std::span(tensor).first(64), Each(1.f));
    EXPECT_THAT(std::span(tensor).last(128), Each(-127 / 128.f));
  }
  extractor.Prepare(pixels, std::nullopt, whole);
  for (const Region region : {Region{20, 0, 5, 5}, Region{-9, -9, 5, 5}, Region{3, 3, 0, 0}}) {
    extractor.Prepare(pixels, region, tensor);
    EXPECT_EQ(tensor, whole);
  }
}

TEST(DeepExtractor, AsksForEnoughPixels) {
  const DeepExtractor extractor = Echo(Card(64, 48));
  EXPECT_EQ(extractor.decode_size(), kStandardSize);
  EXPECT_EQ(extractor.decode_size(1000, 800, {0, 0, 800, 800}), (DecodeSize{64, 0}));
  EXPECT_EQ(extractor.decode_size(1000, 800, {0, 0, 400, 500}), (DecodeSize{128, 0}));
  EXPECT_EQ(extractor.decode_size(1000, 800, {5, 5, 64, 300}), kFullSize) << "full size";
  EXPECT_EQ(extractor.decode_size(1000, 800, {5, 5, 0, 0}), kFullSize);
}

TEST(DeepExtractor, KeyChangesWithWhatChangesVectors) {
  const ModelCard card = Card();
  const FeatureKey key = Echo(card).key();
  EXPECT_EQ(key.type, "deep.echo");
  EXPECT_EQ(FeatureKey::Parse(key.ToString()), key);
  ModelCard other = card;
  other.description = "other words";
  EXPECT_EQ(Echo(other).key(), key);
  other.input.mean[0] = 1;
  EXPECT_NE(Echo(other).key(), key);
  const auto with = [&](DeepOptions options) {
    return DeepExtractor(card, std::make_unique<EchoModel>(192), options).key();
  };
  EXPECT_NE(with({.layer = "early"}), key);
  EXPECT_EQ(with({.layer = "features"}), key);
  EXPECT_NE(with({.fit = Fit::kPad}), key);
  EXPECT_EQ(with({.fit = Fit::kCrop}), key);
  EXPECT_EQ(with({.threads = 4}), key);
}

TEST(DeepExtractor, ValuesFitHalfPrecisionAndNaNIsAnError) {
  std::vector<float> in(192, 1), out(192);
  ASSERT_TRUE(Echo(Card(), 1e9f).Extract(in, 1, out).ok());
  EXPECT_THAT(out, Each(65504.f));
  EXPECT_EQ(Echo(Card(), std::numeric_limits<float>::quiet_NaN()).Extract(in, 1, out).code(),
            absl::StatusCode::kInternal);
}

TEST(DeepExtractor, RunsARealModelTheSameEveryTime) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "likeness_feature_real";
  std::filesystem::remove_all(folder);
  const auto files = *InstallTinyModel(folder, "tiny");
  const auto extractor = *DeepExtractor::Create(files);
  EXPECT_EQ(extractor->dimension(), 32u);
  std::vector<float> tensor(extractor->tensor_size()), a(32), b(32);
  extractor->Prepare(Plain(33, 50, {200, 180, 7}), std::nullopt, tensor);
  ASSERT_TRUE(extractor->Extract(tensor, 1, a).ok());
  ASSERT_TRUE((*DeepExtractor::Create(files))->Extract(tensor, 1, b).ok());
  EXPECT_EQ(a, b);
  EXPECT_EQ(DeepExtractor::Create(files, {.layer = "none"}).status().code(), absl::StatusCode::kInvalidArgument);
  std::filesystem::remove_all(folder);
}

std::vector<float> NormalVectors(size_t count, size_t dimension, uint64_t seed, float shift = 0) {
  Random random(seed);
  std::vector<float> vectors(count * dimension);
  for (float& value : vectors) value = static_cast<float>(random.Normal()) + shift;
  return vectors;
}

double Cosine(std::span<const float> a, std::span<const float> b) {
  double dot = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) dot += a[i] * b[i], aa += a[i] * a[i], bb += b[i] * b[i];
  return dot / std::sqrt(aa * bb);
}

size_t Hamming(const DeepCode& a, const DeepCode& b) {
  size_t bits = 0;
  for (size_t i = 0; i < a.code.size(); ++i) bits += static_cast<size_t>(std::popcount(a.code[i] ^ b.code[i]));
  return bits;
}

TEST(Binarizer, RowsAreOrthonormalBlockByBlock) {
  for (const auto& [dimension, bits, expected] : {std::tuple(100u, 64u, 64u),
                                                  {100u, 0u, 128u},
                                                  {100u, 256u, 256u},
                                                  {64u, 0u, 64u},
                                                  {1u, 1u, 64u},
                                                  {130u, 65u, 128u}}) {
    const Binarizer binarizer = Binarizer::Train({}, dimension, bits, 7);
    ASSERT_EQ(binarizer.bits(), expected);
    ASSERT_EQ(binarizer.dimension(), dimension);
    for (size_t i = 0; i < expected; ++i) {
      for (size_t j = i / dimension * dimension; j <= i; ++j) {
        double dot = 0;
        for (size_t d = 0; d < dimension; ++d) {
          dot += binarizer.rotation()[i * dimension + d] * binarizer.rotation()[j * dimension + d];
        }
        ASSERT_NEAR(dot, i == j ? 1 : 0, 1e-5) << i << "," << j;
      }
    }
  }
}

TEST(Binarizer, LearnedRowsKeepMoreOfTheVarianceThanRandomOnes) {
  constexpr size_t kDimension = 200, kBits = 64, kCount = 300;
  auto vectors = NormalVectors(kCount, kDimension, 21);
  for (size_t i = 0; i < vectors.size(); ++i) vectors[i] /= static_cast<float>(1 + i % kDimension);
  const auto kept = [&](const Binarizer& binarizer) {
    double sum = 0;
    for (size_t i = 0; i < kCount; ++i) {
      for (size_t bit = 0; bit < kBits; ++bit) {
        double dot = 0;
        for (size_t d = 0; d < kDimension; ++d) {
          dot += binarizer.rotation()[bit * kDimension + d] * vectors[i * kDimension + d];
        }
        sum += dot * dot;
      }
    }
    return sum;
  };
  const Binarizer learned = Binarizer::Train(vectors, kDimension, kBits, 4, Rotation::kLearned);
  EXPECT_GT(kept(learned), 1.5 * kept(Binarizer::Train(vectors, kDimension, kBits, 4, Rotation::kRandom)));
  EXPECT_EQ(Binarizer::Train(vectors, kDimension, kBits, 4, Rotation::kLearned).Digest(), learned.Digest());
  for (size_t i = 0; i < kBits; ++i) {
    for (size_t j = 0; j <= i; ++j) {
      double dot = 0;
      for (size_t d = 0; d < kDimension; ++d) {
        dot += learned.rotation()[i * kDimension + d] * learned.rotation()[j * kDimension + d];
      }
      ASSERT_NEAR(dot, i == j ? 1 : 0, 1e-5);
    }
  }
  const auto few = std::span(vectors).first(2 * kBits * kDimension - kDimension);
  EXPECT_EQ(Binarizer::Train(few, kDimension, kBits, 4, Rotation::kLearned).Digest(),
            Binarizer::Train(few, kDimension, kBits, 4, Rotation::kRandom).Digest());
}

TEST(Binarizer, HammingDistanceEstimatesTheAngle) {
  constexpr size_t kDimension = 256, kBits = 256;
  const auto training = NormalVectors(500, kDimension, 1, 0.5f);
  const Binarizer binarizer = Binarizer::Train(training, kDimension, kBits, 2);
  Random random(3);
  for (int i = 0; i < 40; ++i) {
    auto a = NormalVectors(1, kDimension, random(), 0.5f), b = NormalVectors(1, kDimension, random(), 0.5f);
    const float share = static_cast<float>(random.Unit());
    for (size_t d = 0; d < kDimension; ++d) b[d] = share * a[d] + (1 - share) * b[d];
    const auto centered = [&](const std::vector<float>& x) {
      std::vector<float> y(kDimension);
      double length = 0;
      for (const float value : x) length += value * value;
      for (size_t d = 0; d < y.size(); ++d) {
        y[d] = x[d] / static_cast<float>(std::sqrt(length)) - binarizer.mean()[d];
      }
      return y;
    };
    const auto ya = centered(a), yb = centered(b);
    const DeepCode ca = binarizer.Encode(a), cb = binarizer.Encode(b);
    const double angle = std::acos(Cosine(ya, yb)) / std::numbers::pi;
    EXPECT_NEAR(static_cast<double>(Hamming(ca, cb)) / kBits, angle, 0.12);
    // The int8 copy keeps the cosine, and its norm is its own.
    const std::vector<float> ia(ca.vector.begin(), ca.vector.end()), ib(cb.vector.begin(), cb.vector.end());
    EXPECT_NEAR(Cosine(ia, ib), Cosine(ya, yb), 0.01);
    double squares = 0;
    for (const float value : ia) squares += value * value;
    EXPECT_FLOAT_EQ(ca.norm, static_cast<float>(std::sqrt(squares)));
    EXPECT_EQ(std::abs(*std::ranges::max_element(ia, {}, [](float v) { return std::abs(v); })), 127.f);
  }
}

TEST(Binarizer, BehavesWithFewVectorsAndWithZeros) {
  const auto vectors = NormalVectors(10, 48, 5);
  for (const size_t count : {0u, 1u, 2u, 10u}) {
    const Binarizer binarizer = Binarizer::Train(std::span(vectors).first(count * 48), 48, 256, 9);
    for (const std::vector<float>& x :
         {std::vector<float>(48), std::vector<float>(vectors.begin(), vectors.begin() + 48)}) {
      const DeepCode code = binarizer.Encode(x);
      EXPECT_EQ(code.code.size(), 4u);
      EXPECT_EQ(code.vector.size(), 48u);
      EXPECT_TRUE(std::isfinite(code.norm));
    }
    if (count == 0) {
      EXPECT_THAT(binarizer.mean(), Each(0.f));
      const DeepCode zero = binarizer.Encode(std::vector<float>(48));
      EXPECT_THAT(zero.vector, Each(0));
      EXPECT_THAT(zero.code, Each(0u));
      EXPECT_EQ(zero.norm, 0.f);
    }
  }
  // The only vector there is keeps its direction, though the mean is made of it alone.
  const Binarizer one = Binarizer::Train(std::span(vectors).first(48), 48, 64, 9);
  const DeepCode only = one.Encode(std::span(vectors).first(48));
  const auto largest =
      std::ranges::max_element(vectors.begin(), vectors.begin() + 48, {}, [](float v) { return std::abs(v); });
  EXPECT_EQ(std::abs(only.vector[static_cast<size_t>(largest - vectors.begin())]), 127);
  EXPECT_GT(only.norm, 127.f);
  // Huge and tiny values are as good as others.
  std::vector<float> huge(48, 65504), tiny(48, 1e-30f);
  EXPECT_EQ(one.Encode(huge).code, one.Encode(std::vector<float>(48, 1)).code);
  EXPECT_EQ(one.Encode(tiny).vector, one.Encode(std::vector<float>(48, 1)).vector);
}

TEST(Binarizer, PartsMakeItAgain) {
  const auto vectors = NormalVectors(20, 40, 11);
  const Binarizer binarizer = Binarizer::Train(vectors, 40, 128, 12);
  EXPECT_EQ(Binarizer::Train(vectors, 40, 128, 12).Digest(), binarizer.Digest());
  EXPECT_NE(Binarizer::Train(vectors, 40, 128, 13).Digest(), binarizer.Digest());
  EXPECT_NE(Binarizer::Train({}, 40, 128, 12).Digest(), binarizer.Digest());
  std::vector<float> mean(binarizer.mean().begin(), binarizer.mean().end());
  std::vector<float> rotation(binarizer.rotation().begin(), binarizer.rotation().end());
  const auto again = Binarizer::FromParts(mean, rotation);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->Digest(), binarizer.Digest());
  const auto x = std::span(vectors).first(40);
  EXPECT_EQ(again->Encode(x).code, binarizer.Encode(x).code);
  const auto refused = [](std::vector<float> m, std::vector<float> r) {
    return Binarizer::FromParts(std::move(m), std::move(r)).status().code() == absl::StatusCode::kDataLoss;
  };
  EXPECT_TRUE(refused({}, {}));
  EXPECT_TRUE(refused(mean, {}));
  EXPECT_TRUE(refused(mean, std::vector<float>(40)));
  EXPECT_TRUE(refused(mean, std::vector<float>(40 * 64 + 1)));
  rotation[5] = std::numeric_limits<float>::infinity();
  EXPECT_TRUE(refused(mean, rotation));
}

}  // namespace
}  // namespace likeness
