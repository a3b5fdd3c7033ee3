// All features of one picture, for those that come one at a time; a run works by the chunk (work_chunk.h).
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/status.h"
#include "pipeline/features.h"
#include "store/feature_shard.h"

namespace likeness {

struct PictureFeatures {
  struct One {
    FeatureKey key;
    FeatureLayout layout;
    FeatureValue value;  // or the reason why there is none
  };
  ImageSize size;  // pixels of the upright picture
  std::vector<One> features;
};

// Decodes once for each size that is wanted, as a worker does, so that the values are those of a run. Any thread.
// Errors: those of DecodeImage; of the world.
absl::StatusOr<PictureFeatures> ComputeFeatures(const Home& home, std::span<const std::byte> bytes,
                                                const Extractors& extractors);

// What the feature store has of an image already: computed once is computed for ever. Features that it lacks are left
// out. Errors: those of the store.
absl::StatusOr<PictureFeatures> StoredFeatures(Home& home, const ImageRecord& image, const Extractors& extractors);

}  // namespace likeness
