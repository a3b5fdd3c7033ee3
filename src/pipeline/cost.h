// What it takes to compute the features of so many images, from what was measured on this machine (docs/cost.md).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/status.h"
#include "pipeline/home.h"
#include "types/feature_key.h"

namespace likeness {

inline constexpr double kMachineCores = 32;  // of a machine, as the paper counts them

struct CostQuestion {
  double images = 1e9;
  double deadline_seconds = 86'400;
  std::optional<double> daily;  // new images a day
};

// A feature, or reading the pixels of a picture.
struct CostItem {
  FeatureKey feature;
  uint64_t measured_images = 0;        // whose computing was timed
  std::optional<double> core_seconds;  // for an image; none before anything was measured
  uint64_t stored_images = 0;          // in sealed shards
  std::optional<double> bytes;         // stored for an image; none before a shard is sealed, or for pixels
};

struct Cost {
  CostItem decode;                 // paid once for all features together
  std::vector<CostItem> features;  // of the current configuration
  // For an image: the fingerprint files and the segments of the current generation. None before a release.
  std::optional<double> fingerprint_bytes, index_bytes;

  // Over everything that was measured.
  bool complete = false;     // nothing of `decode` and `features` is unmeasured
  double core_seconds = 0;   // for an image
  double feature_bytes = 0;  // for an image, of the features alone
};

// The measurements of a home. Errors: those of the catalog, the store and the configuration.
absl::StatusOr<Cost> MeasureCost(Home& home);

double CoreHours(double core_seconds, double images);
// Of kMachineCores, all busy for the whole time; not rounded.
double Machines(double core_seconds, double images, double seconds);

}  // namespace likeness
