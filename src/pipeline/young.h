// Pictures that came through the API, until a release has them: their features lie in the object store as young batches
// (store/young_batch.h), durable before the answer, and the fingerprint run takes them over instead of computing them
// anew. docs/online.md tells the whole story.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "pipeline/home.h"
#include "pipeline/picture_features.h"
#include "store/young_batch.h"

namespace likeness {

struct YoungPicture {
  Signature signature;
  PictureFeatures features;
};

// A batch as it lies in the store; it never changes. Any thread.
struct YoungObject {
  std::string key;
  YoungBatch batch;
  std::vector<Signature> signatures;  // of its pictures, sorted
};

// Puts the pictures as one batch, durable on return. REQUIRES: not empty, distinct signatures
absl::StatusOr<std::shared_ptr<const YoungObject>> WriteYoung(Home& home, std::span<const YoungPicture> pictures);

// The batches whose keys are not in `known`, and in `gone` those of `known` that are no more. A damaged batch is
// deleted and logged: its pictures are in the catalog, and the next fingerprint run computes them.
struct YoungChanges {
  std::vector<std::shared_ptr<const YoungObject>> added;
  std::vector<std::string> gone;
};
absl::StatusOr<YoungChanges> ReadYoung(Home& home, const std::set<std::string>& known);

// All that the batches have of one picture; the first that has a value of a feature decides.
PictureFeatures YoungFeatures(std::span<const std::shared_ptr<const YoungObject>> objects, const Signature& signature);

// One batch instead of several, with the pictures that `keep` names; null when none is left. The old ones stay: delete
// them when the new one serves. Until then nothing is lost, and a picture that is in two counts once.
absl::StatusOr<std::shared_ptr<const YoungObject>> MergeYoung(
    Home& home, std::span<const std::shared_ptr<const YoungObject>> objects,
    const std::function<bool(const Signature&)>& keep);

// Part of job 2: what young batches have of `features` becomes parts of the cells that their pictures belong to, as if
// a worker had put them. May be repeated at any time. Returns the values that were taken over.
absl::StatusOr<uint64_t> AdoptYoung(Home& home, const std::vector<FeatureKey>& features);

}  // namespace likeness
