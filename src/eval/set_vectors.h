// The vectors of a labelled set: computed on all threads, remembered in a file.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "eval/labelled_set.h"
#include "eval/picture_encoder.h"

namespace likeness {

// Row i belongs to picture i of the set. Values are rounded to half precision, as the feature store keeps them, so that
// what is judged is what is searched.
struct SetVectors {
  size_t dimension = 0;
  std::vector<float> values;     // [pictures, dimension]; zeros where the picture cannot be read
  std::vector<bool> unreadable;  // [pictures]
  std::vector<LabelledSet::Problem> problems;

  size_t rows() const { return unreadable.size(); }
  std::span<const float> row(size_t i) const { return std::span(values).subspan(i * dimension, dimension); }
  // Drops the rows whose flag is set. REQUIRES: drop.size() == rows()
  void Drop(const std::vector<bool>& drop);
};

// Vectors by feature and signature, kept between evaluations in one safetensors file: for each feature the tensors
// KEY/signatures u8[n,16] and KEY/values f16[n,d]. One thread at a time.
class VectorCache {
 public:
  // An empty cache when there is no such file. Errors: DataLoss (no such cache), Unavailable.
  static absl::StatusOr<VectorCache> Read(const std::filesystem::path& path);
  absl::Status Write(const std::filesystem::path& path) const;

  // Empty when it is not known or not of that dimension.
  std::span<const uint16_t> Find(const FeatureKey& key, const Signature& signature, size_t dimension) const;
  // REQUIRES: `halves` are as many as those remembered for the key before
  void Put(const FeatureKey& key, const Signature& signature, std::span<const uint16_t> halves);

 private:
  std::map<std::string, std::map<Signature, std::vector<uint16_t>>> features_;
};

// Done and all pictures; called by one thread at a time, which need not be the caller's.
using PictureProgress = std::function<void(size_t done, size_t total)>;

// `threads` pictures at once, decode and inference both. Takes from and adds to `cache` (may be null).
// Errors: those of Encode; a picture that cannot be read is no error but marked.
absl::StatusOr<SetVectors> ComputeVectors(const LabelledSet& set, const PictureEncoder& encoder,
                                          const ImageLimits& limits, size_t threads, VectorCache* cache,
                                          const PictureProgress& progress);

}  // namespace likeness
