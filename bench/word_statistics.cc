#include "bench/word_statistics.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <filesystem>
#include <map>
#include <numbers>

#include "base/bytes.h"
#include "base/file.h"
#include "bench/files.h"
#include "bench/report.h"
#include "feature/local.h"
#include "image/decode.h"

namespace likeness {
namespace {

// The words of a measured one have shares as the words drawn for it have among themselves.
std::vector<double> DivideWords(const WordStatistics& statistics, size_t words, Random& random) {
  const std::vector<uint32_t>& counts = statistics.counts;
  const size_t each = std::max<size_t>(1, words / counts.size());
  std::vector<double> shares;
  for (const uint32_t count : counts) {
    std::vector<double> parts;
    double sum = 0;
    for (size_t i = 0; i < each; ++i) {
      // A tenth of a keypoint for words that the sample has missed.
      parts.push_back(each == 1 ? 1 : counts[random.Below(counts.size())] + 0.1);
      sum += parts.back();
    }
    for (const double part : parts) shares.push_back((count + 0.1) * part / sum);
  }
  double sum = 0;
  for (const double share : shares) sum += share;
  for (double& share : shares) share /= sum;
  return shares;
}

}  // namespace

WordStatistics MeasureWords(size_t pictures_of_each_set) {
  const auto path = FindVocabulary("");
  if (!path.ok()) BenchFail(MessageOf(path.status()));
  const auto vocabulary = Vocabulary::Open(*path);
  if (!vocabulary.ok()) BenchFail(MessageOf(vocabulary.status()));
  const auto extractor = MakeLocalExtractor(*vocabulary);
  WordStatistics statistics;
  statistics.counts.resize((*vocabulary)->size());
  std::map<uint32_t, std::vector<uint64_t>> signatures;  // by word, one of a picture
  size_t repeats = 0;
  for (const char* set : {"ccp", "products", "clothing"}) {
    const std::vector<std::filesystem::path> files = BenchFiles(set);
    const size_t step = std::max<size_t>(1, files.size() / pictures_of_each_set);
    for (size_t i = 0; i < files.size(); i += step) {
      const auto bytes = ReadFile(files[i]);
      if (!bytes.ok()) BenchFail(MessageOf(bytes.status()));
      const auto pixels = DecodeImage(AsBytes(*bytes), {}, extractor->decode_size());
      if (!pixels.ok()) BenchFail(MessageOf(pixels.status()));
      const auto values = extractor->Extract(std::span(&*pixels, 1));
      if (!values.ok()) BenchFail(MessageOf(values.status()));
      ++statistics.pictures;
      uint32_t before = UINT32_MAX;
      const auto features = UnpackLocals(*values->front());
      if (!features.ok()) BenchFail(MessageOf(features.status()));
      for (const LocalFeature& feature : *features) {
        ++statistics.keypoints;
        ++statistics.counts[feature.word];
        if (feature.word == before) {
          ++repeats;
        } else {
          signatures[feature.word].push_back(feature.signature);
        }
        before = feature.word;
      }
    }
  }
  statistics.repeats = static_cast<double>(repeats) / static_cast<double>(std::max<size_t>(1, statistics.keypoints));
  double pairs = 0, sum = 0, squares = 0, near = 0;
  for (const auto& [word, list] : signatures) {
    for (size_t i = 1; i < list.size(); ++i) {
      const int bits = std::popcount(list[i] ^ list[i - 1]);
      ++pairs;
      sum += bits;
      squares += bits * bits;
      near += static_cast<uint32_t>(bits) <= statistics.near_bits ? 1 : 0;
    }
  }
  if (pairs == 0) BenchFail("the pictures have no words in common");
  statistics.bits_variance = squares / pairs - (sum / pairs) * (sum / pairs);
  statistics.near = near / pairs;
  return statistics;
}

PictureMaker::PictureMaker(const WordStatistics& statistics, size_t words, uint64_t seed)
    : repeats_(statistics.repeats) {
  Random random(seed);
  const std::vector<double> shares = DivideWords(statistics, words, random);
  // Each pair of equal bits raises the variance of 64 independent ones, 16, by a half.
  const auto copies = static_cast<int>(std::clamp(2 * (statistics.bits_variance - 16), 0.0, 32.0));
  copied_ = copies == 0 ? 0 : ~uint64_t{0} >> (64 - copies) << 32;
  const size_t n = shares.size();
  stay_.assign(n, 1);
  alias_.resize(n);
  std::vector<double> scaled(n);
  std::vector<uint32_t> small, large;
  for (uint32_t i = 0; i < n; ++i) {
    meeting_ += shares[i] * shares[i];
    scaled[i] = shares[i] * static_cast<double>(n);
    alias_[i] = i;
    (scaled[i] < 1 ? small : large).push_back(i);
  }
  while (!small.empty() && !large.empty()) {
    const uint32_t poor = small.back(), rich = large.back();
    small.pop_back();
    stay_[poor] = static_cast<float>(scaled[poor]);
    alias_[poor] = rich;
    scaled[rich] -= 1 - scaled[poor];
    if (scaled[rich] < 1) {
      large.pop_back();
      small.push_back(rich);
    }
  }
}

uint32_t PictureMaker::DrawWord(Random& random) const {
  const uint64_t drawn = random();
  const auto slot = static_cast<size_t>((drawn >> 32) * stay_.size() >> 32);
  return static_cast<float>(drawn & 0xFFFFFF) * 0x1p-24f < stay_[slot] ? static_cast<uint32_t>(slot) : alias_[slot];
}

uint64_t PictureMaker::DrawSignature(Random& random) const {
  const uint64_t drawn = random();
  return (drawn & ~copied_) | (drawn << 32 & copied_);
}

LocalFeature PictureMaker::Draw(Random& random, uint32_t word) const {
  const uint64_t drawn = random();
  LocalFeature feature{.word = word, .signature = DrawSignature(random)};
  feature.x = static_cast<float>(drawn & 0xFFFF) / 128;
  feature.y = static_cast<float>(drawn >> 16 & 0xFFFF) / 128;
  feature.sigma = 1 + static_cast<float>(drawn >> 32 & 0xFF) / 32;
  feature.angle = static_cast<float>(drawn >> 40 & 0xFF) / 256 * static_cast<float>(2 * std::numbers::pi);
  return feature;
}

void PictureMaker::Make(Random& random, size_t keypoints, std::vector<LocalFeature>& picture) const {
  picture.clear();
  const auto limit = static_cast<uint64_t>(repeats_ * 0x1p32);
  while (picture.size() < keypoints) {
    const bool again = !picture.empty() && (random() >> 32) < limit;
    picture.push_back(Draw(random, again ? picture[random.Below(picture.size())].word : DrawWord(random)));
  }
  std::ranges::sort(picture, {}, &LocalFeature::word);
}

std::vector<LocalFeature> PictureMaker::MakeQuery(Random& random, const std::vector<LocalFeature>& picture, size_t kept,
                                                  size_t keypoints) const {
  std::vector<LocalFeature> query;
  Make(random, keypoints - kept, query);
  for (size_t i = 0; i < kept; ++i) {
    LocalFeature feature = picture[i * picture.size() / kept];
    for (uint64_t bits = random.Below(15); bits > 0; --bits) feature.signature ^= uint64_t{1} << random.Below(64);
    feature.angle = std::fmod(feature.angle + 1, static_cast<float>(2 * std::numbers::pi));
    feature.sigma *= 1.5f;
    query.push_back(feature);
  }
  return query;
}

}  // namespace likeness
