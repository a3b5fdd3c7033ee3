// Pictures as visual words, for tests of the token index.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <numbers>
#include <span>
#include <string>
#include <vector>

#include "base/random.h"
#include "index/token_index.h"
#include "index/token_writer.h"
#include "types/local_feature.h"

namespace likeness {

using TokenDocument = std::vector<LocalFeature>;

inline const FeatureKey kTokenTestFeature{"local", "0123456789ab"};

// Documents of 0 to `most` keypoints; low words are common. Some keypoints come in bursts: one word, near signatures.
inline std::vector<TokenDocument> MakeTokenDocuments(Random& random, size_t count, size_t most, uint32_t words) {
  std::vector<TokenDocument> documents(count);
  for (TokenDocument& document : documents) {
    const size_t keypoints = random.Below(most + 1);
    while (document.size() < keypoints) {
      const double unit = random.Unit();
      LocalFeature feature;
      feature.word = static_cast<uint32_t>(unit * unit * words);
      feature.signature = random();
      const size_t burst = random.Below(8) == 0 ? 5 : 1;
      for (size_t i = 0; i < burst && document.size() < keypoints; ++i) {
        feature.signature ^= uint64_t{1} << random.Below(64);
        feature.x = static_cast<float>(random.Unit()) * kLocalFrame;
        feature.y = static_cast<float>(random.Unit()) * kLocalFrame;
        feature.sigma = std::exp2(static_cast<float>(random.Unit()) * 5);
        feature.angle = static_cast<float>(random.Unit() * 2 * std::numbers::pi);
        document.push_back(feature);
      }
    }
    document = UnpackLocals(PackLocals(document)).value();
  }
  return documents;
}

// The keypoints of a picture that shows `document` turned, larger and with some noise: some are lost, some are new.
inline TokenDocument AlteredTokens(Random& random, const TokenDocument& document, float turn, float scale) {
  TokenDocument altered;
  for (LocalFeature feature : document) {
    if (random.Below(4) == 0) continue;
    for (size_t i = random.Below(12); i > 0; --i) feature.signature ^= uint64_t{1} << random.Below(64);
    feature.angle = std::fmod(feature.angle + turn, static_cast<float>(2 * std::numbers::pi));
    feature.sigma *= scale;
    altered.push_back(feature);
  }
  return altered;
}

// Errors go to the caller's ASSERT.
inline absl::Status WriteTokens(const std::filesystem::path& path, std::span<const TokenDocument> documents,
                                const TokenWriterOptions& options = {}) {
  LIKENESS_ASSIGN_OR_RETURN(const auto writer, TokenWriter::Create(path, kTokenTestFeature, options));
  for (const TokenDocument& document : documents) LIKENESS_RETURN_IF_ERROR(writer->Add(PackLocals(document)));
  return writer->Seal();
}

}  // namespace likeness
