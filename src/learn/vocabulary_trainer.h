// Training of the visual words of the feature `local` (docs/formats/vocabulary.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

#include "base/status.h"
#include "learn/training.h"

namespace likeness {

struct VocabularyOptions {
  size_t words = 100'000;
  uint64_t descriptors = 0;  // to learn from at most; 0 means kDescriptorsAWord for each word, at least 500,000
  uint32_t rounds = 8;       // of k-means
  uint64_t seed = 1;
  size_t threads = 1;
};
inline constexpr uint64_t kDescriptorsAWord = 20;
inline constexpr size_t kMostTrainedWords = 1'000'000;

struct VocabularyReport {
  std::string digest;
  uint64_t words = 0;
  uint64_t descriptors = 0;
  uint64_t pictures = 0;
  uint64_t unreadable = 0;
  uint64_t empty_words = 0;  // without a descriptor of their own in the last round
  double mean_distance = 0;  // of a descriptor, of length 512, to its word (root of the mean square)
};

// Learns from the pictures and writes the vocabulary to `out`. What it has done so far is kept in the folder
// `out` + ".work", from which a call with the same arguments goes on after it was stopped or killed, and which is
// removed at the end. The same arguments give the same bytes, whatever the number of threads and however often it was
// killed. Memory: 136 bytes a descriptor, of which 128 are a mapped file, and 600 bytes a word.
// Errors: InvalidArgument (no words, too many, fewer descriptors than words); those of GatherDescriptors; Cancelled.
absl::StatusOr<VocabularyReport> TrainVocabulary(const TrainingPictures& pictures, const VocabularyOptions& options,
                                                 const std::filesystem::path& out, const TrainingControl& control = {});

}  // namespace likeness
