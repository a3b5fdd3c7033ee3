// Candidates from the token indexes of a snapshot's segments.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "index/token_index.h"
#include "product/word_lists.h"

namespace likeness {

struct TokenWordsOptions {
  size_t refine_least = 200;  // TokenQuery
  float most_common = 1;
};

// Any thread.
class TokenWords final : public WordSource {
 public:
  struct Shard {
    const TokenIndex* index = nullptr;  // not ours; null: none of its documents is found
    uint64_t first = 0;                 // the number of its first document
  };
  explicit TokenWords(std::vector<Shard> shards, TokenWordsOptions options = {})
      : shards_(std::move(shards)), options_(options) {}

  // A shard whose index cannot be read has no candidates.
  std::vector<WordCandidate> Find(const VerifyQuery& query, size_t most) const override;

 private:
  std::vector<Shard> shards_;
  TokenWordsOptions options_;
};

}  // namespace likeness
