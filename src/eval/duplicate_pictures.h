// The pictures that an evaluation of duplicates searches, with their stored features.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "feature/vocabulary.h"
#include "image/limits.h"
#include "product/duplicate_finder.h"
#include "types/signature.h"

namespace likeness {

struct DuplicatePicture {
  std::filesystem::path path;
  std::string set;  // "ccp"
  Signature signature;
  uint32_t width = 0, height = 0;
  std::vector<std::byte> hash, local;  // as the feature store has them
};

// Constant after Load; any thread. The source of a finder: picture i is document i.
class DuplicatePictures final : public DuplicateSource {
 public:
  // Every picture of the files, in their order; those that cannot be read and those whose bytes were there before are
  // passed over. Features come from `cache` (empty: none) where it has them, and are added to it.
  // Errors: those of the cache's file.
  struct File {
    std::filesystem::path path;
    std::string set;
  };
  static absl::StatusOr<std::unique_ptr<DuplicatePictures>> Load(const std::vector<File>& files,
                                                                 std::shared_ptr<const Vocabulary> vocabulary,
                                                                 const std::filesystem::path& cache, size_t threads,
                                                                 const std::function<void(size_t, size_t)>& progress);

  const std::vector<DuplicatePicture>& pictures() const { return pictures_; }
  size_t unreadable() const { return unreadable_; }
  size_t repeated() const { return repeated_; }

  uint64_t doc_count() const override { return pictures_.size(); }
  std::optional<PdqValue> Hash(uint64_t document) const override;
  absl::StatusOr<DuplicateRecord> Read(uint64_t document) const override;
  absl::StatusOr<Pixels> ReadPixels(uint64_t document) const override;

 private:
  std::vector<DuplicatePicture> pictures_;
  size_t unreadable_ = 0, repeated_ = 0;
};

// The files of a folder and of those below it that end as pictures do, sorted by path.
absl::StatusOr<std::vector<std::filesystem::path>> PictureFiles(const std::filesystem::path& folder);

}  // namespace likeness
