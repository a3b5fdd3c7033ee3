#include "product/word_lists.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

namespace likeness {
namespace {

constexpr uint32_t kMostDistance = 22;
constexpr float kNearness = 12;  // bits: how fast a pair's weight falls with the distance of the signatures

std::array<float, 65> Weights() {
  std::array<float, 65> weights = {};
  for (size_t h = 0; h <= kMostDistance; ++h) {
    weights[h] = std::exp(-static_cast<float>(h * h) / (kNearness * kNearness));
  }
  return weights;
}

// What a thread keeps from one query to the next.
struct Sum {
  float score = 0;
  float best = 0;         // of the keypoint that comes last
  uint32_t keypoint = 0;  // + 1
};

}  // namespace

void WordLists::Add(uint32_t document, std::span<const LocalFeature> rows) {
  for (const LocalFeature& row : rows) added_.push_back({row.word, document, row.signature});
  lengths_.resize(std::max<size_t>(lengths_.size(), size_t{document} + 1), 1);
  lengths_[document] = std::sqrt(static_cast<float>(std::max<size_t>(rows.size(), 16)));
}

void WordLists::Finish() {
  uint32_t words = 0;
  for (const Posting& posting : added_) words = std::max(words, posting.word + 1);
  begins_.assign(size_t{words} + 1, 0);
  for (const Posting& posting : added_) ++begins_[posting.word + 1];
  for (size_t i = 1; i < begins_.size(); ++i) begins_[i] += begins_[i - 1];
  documents_.resize(added_.size());
  signatures_.resize(added_.size());
  std::vector<uint64_t> next(begins_.begin(), begins_.end() - 1);
  for (const Posting& posting : added_) {
    const uint64_t at = next[posting.word]++;
    documents_[at] = posting.document;
    signatures_[at] = posting.signature;
  }
  added_ = {};
  rarity_.assign(words, 0);
  for (size_t word = 0; word < words; ++word) {
    size_t holders = 0;
    for (uint64_t i = begins_[word]; i < begins_[word + 1]; ++i) {
      holders += i == begins_[word] || documents_[i] != documents_[i - 1] ? 1 : 0;
    }
    const float idf =
        std::log(1 + static_cast<float>(lengths_.size()) / static_cast<float>(std::max<size_t>(1, holders)));
    rarity_[word] = idf * idf;
  }
}

std::vector<WordCandidate> WordLists::Find(const VerifyQuery& query, size_t most) const {
  static const std::array<float, 65> kWeights = Weights();
  std::vector<VerifyQuery::Row> rows(query.rows().begin(), query.rows().end());
  std::ranges::stable_sort(rows, {}, &VerifyQuery::Row::keypoint);
  std::vector<Sum> sums(lengths_.size());
  for (const VerifyQuery::Row& row : rows) {
    if (size_t{row.word} + 1 >= begins_.size()) continue;
    const float rarity = rarity_[row.word];
    for (uint64_t i = begins_[row.word]; i < begins_[row.word + 1]; ++i) {
      const auto distance = static_cast<uint32_t>(std::popcount(signatures_[i] ^ row.signature));
      if (distance > kMostDistance) continue;
      Sum& sum = sums[documents_[i]];
      const float value = rarity * kWeights[distance];
      if (sum.keypoint != row.keypoint + 1) sum.keypoint = row.keypoint + 1, sum.best = 0;
      if (value > sum.best) sum.score += value - sum.best, sum.best = value;
    }
  }
  std::vector<WordCandidate> found;
  for (size_t i = 0; i < sums.size(); ++i) {
    if (sums[i].score > 0) found.push_back({i, sums[i].score / lengths_[i]});
  }
  const auto better = [](const WordCandidate& a, const WordCandidate& b) {
    return a.score != b.score ? a.score > b.score : a.document < b.document;
  };
  const size_t kept = std::min(most, found.size());
  std::partial_sort(found.begin(), found.begin() + static_cast<ptrdiff_t>(kept), found.end(), better);
  found.resize(kept);
  return found;
}

uint64_t WordLists::bytes() const {
  return documents_.size() * sizeof(uint32_t) + signatures_.size() * sizeof(uint64_t) +
         begins_.size() * sizeof(uint64_t) + rarity_.size() * sizeof(float) + lengths_.size() * sizeof(float);
}

}  // namespace likeness
