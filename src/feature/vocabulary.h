// Visual words: a descriptor becomes the nearest of many learned ones, and 64 bits that say where around that word it
// lies (H. Jegou, M. Douze, C. Schmid, "Hamming Embedding and Weak Geometric Consistency for Large Scale Image Search",
// ECCV 2008, sections 3 and 4).
//
// Format: docs/formats/vocabulary.md. Room `learn` trains one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "feature/sift.h"
#include "feature/vocabulary_search.h"

namespace likeness {

inline constexpr size_t kWordSignatureBits = 64;
inline constexpr size_t kMostWords = 16'000'000;
// Medians are kept as whole multiples of this, of a descriptor of length 512.
inline constexpr float kMedianStep = 0.25f;

// What makes a vocabulary.
struct VocabularyParts {
  std::vector<uint8_t> words;  // [n, 128], cell by cell
  WordCells cells;
  std::vector<float> projection;  // [64, 128], orthonormal rows
  std::vector<int8_t> medians;    // [n, 64]: of projection . (descriptor - word), in kMedianStep
  // How it came about, for people: kept in the file, of no influence.
  uint64_t seed = 0;
  uint64_t trained_on = 0;  // descriptors
  uint32_t rounds = 0;      // of k-means
};

// Constant after construction; any thread.
class Vocabulary {
 public:
  // Maps the file and checks it. Errors: NotFound; DataLoss when it is damaged; Unimplemented when it is of a later
  // version; FailedPrecondition when it was trained for other descriptors than those of ExtractLocal.
  static absl::StatusOr<std::shared_ptr<const Vocabulary>> Open(const std::filesystem::path& path);

  // Errors: DataLoss when the sizes do not fit or a value is not finite. The digest is that of the file that
  // WriteVocabulary would make.
  static absl::StatusOr<std::shared_ptr<const Vocabulary>> FromParts(VocabularyParts parts);

  size_t size() const { return search_.words(); }
  const WordSearch& search() const { return search_; }
  std::span<const uint8_t> words() const { return parts_.words; }  // [n, 128]
  // Of everything that has influence: equal digests mean equal words and signatures.
  const std::string& digest() const { return digest_; }

  // Bit i tells whether component i of the projected descriptor lies above the median of those that have this word.
  // Hamming distances of signatures of one word tell how near two descriptors are. REQUIRES: word < size()
  uint64_t Signature(std::span<const uint8_t, kLocalDescriptorSize> descriptor, uint32_t word) const;

 private:
  Vocabulary(VocabularyParts parts, std::string digest);

  VocabularyParts parts_;
  std::string digest_;
  WordSearch search_;
};

// The same parts give the same bytes. Errors: those of SafetensorsWriter.
absl::Status WriteVocabulary(const std::filesystem::path& path, const VocabularyParts& parts);

// The digest alone, from the head of the file. Errors: those of Open, but damage to words goes unseen.
absl::StatusOr<std::string> ReadVocabularyDigest(const std::filesystem::path& path);

// NAME.safetensors in the usual places: HOME/vocabularies, $LIKENESS_VOCABULARIES, ../share/likeness/vocabulary beside
// the running program's folder, models/vocabulary of the source tree it was built from.
// Errors: NotFound, saying how to make one.
inline constexpr std::string_view kDefaultVocabulary = "default";
absl::StatusOr<std::filesystem::path> FindVocabulary(const std::filesystem::path& home,
                                                     std::string_view name = kDefaultVocabulary);

}  // namespace likeness
