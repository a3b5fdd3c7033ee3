// Makes the token file of one shard (docs/formats/tokens.md).
//
//   TokenWriter -> Add, document after document -> Seal -> TokenIndex
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

#include "base/status.h"
#include "types/feature_key.h"

namespace likeness {

struct TokenWriterOptions {
  // Bytes of postings that are sorted at once; what is more waits in a file beside the one being made. The writer takes
  // twice as much memory, and 8 bytes a word and 4 a document.
  size_t sort_bytes = 128u << 20;
};

// The same documents give the same bytes, whatever the options. One thread at a time.
class TokenWriter {
 public:
  // A new file at `path`, whole only after Seal; it and the one beside it are removed when it was not sealed.
  // Errors: InvalidArgument (no name of a feature), Unavailable, ResourceExhausted.
  static absl::StatusOr<std::unique_ptr<TokenWriter>> Create(const std::filesystem::path& path,
                                                             const FeatureKey& feature,
                                                             const TokenWriterOptions& options = {});
  ~TokenWriter();
  TokenWriter(const TokenWriter&) = delete;
  TokenWriter& operator=(const TokenWriter&) = delete;

  // The next document, DocId 0 first: its rows as the feature `local` has them (docs/formats/local.md), in ascending
  // order of words; none for a picture without keypoints. Errors: DataLoss for a value that is no rows, or not in
  // order, or of a word above 2^24 - 1, after which the document has no postings and adding goes on; Unavailable,
  // ResourceExhausted.
  absl::Status Add(std::span<const std::byte> rows);
  uint64_t doc_count() const;

  // Errors: FailedPrecondition when called twice; Unavailable, ResourceExhausted.
  absl::Status Seal();

 private:
  struct State;
  explicit TokenWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace likeness
