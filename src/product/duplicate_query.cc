#include "product/duplicate_query.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <thread>

#include "base/thread_pool.h"
#include "feature/local.h"

namespace likeness {
namespace {

constexpr size_t kCells = 4, kDirections = 8;  // of a descriptor, in each direction of place, and around

// The first row of each keypoint, which has its nearest word, of as many as are stored of a picture. `rows` are
// keypoint by keypoint, strongest first.
std::vector<LocalFeature> Nearest(const std::vector<LocalFeature>& rows) {
  std::vector<LocalFeature> nearest;
  for (const LocalFeature& row : rows) {
    if (!nearest.empty()) {
      const LocalFeature& last = nearest.back();
      if (last.x == row.x && last.y == row.y && last.sigma == row.sigma && last.angle == row.angle) continue;
    }
    if (nearest.size() == kMostKeypoints) break;
    nearest.push_back(row);
  }
  return nearest;
}

}  // namespace

LocalFeatures MirrorLocal(const LocalFeatures& features, float width) {
  constexpr float kTurn = static_cast<float>(2 * std::numbers::pi);
  LocalFeatures mirrored = features;
  for (size_t i = 0; i < features.size(); ++i) {
    Keypoint& keypoint = mirrored.keypoints[i];
    keypoint.x = width - keypoint.x;
    keypoint.angle = kTurn / 2 - keypoint.angle;
    if (keypoint.angle < 0) keypoint.angle += kTurn;
    const uint8_t* from = features.descriptors.data() + i * kLocalDescriptorSize;
    uint8_t* to = mirrored.descriptors.data() + i * kLocalDescriptorSize;
    for (size_t row = 0; row < kCells; ++row) {
      for (size_t column = 0; column < kCells; ++column) {
        for (size_t d = 0; d < kDirections; ++d) {
          to[(row * kCells + column) * kDirections + d] =
              from[((kCells - 1 - row) * kCells + column) * kDirections + (kDirections - d) % kDirections];
        }
      }
    }
  }
  return mirrored;
}

absl::StatusOr<DuplicateQuery> DuplicateQuery::Of(const Pixels& pixels, const Vocabulary& vocabulary,
                                                  const DuplicateQueryOptions& options) {
  DuplicateQuery query;
  query.width_ = pixels.full_width;
  query.height_ = pixels.full_height;
  SiftOptions sift;
  sift.most = options.keypoints;
  sift.threads = options.threads;
  absl::StatusOr<Thumbnail> thumbnail = absl::InternalError("");
  absl::StatusOr<LocalFeatures> features = absl::InternalError("");
  const auto look = [&] {
    thumbnail = Thumbnail::Of(pixels);
    if (const absl::StatusOr<PdqTransform> hash = PdqTransform::Of(pixels); thumbnail.ok() && hash.ok()) {
      query.quality_ = hash->quality();
      query.forms_ = hash->AllForms();
    }
  };
  {
    // Keypoints are looked for on this thread, which has the memory for that from the picture before.
    const std::jthread other = options.threads > 1 ? std::jthread(look) : std::jthread();
    features = ExtractLocal(pixels, sift);
  }
  if (options.threads <= 1) look();
  LIKENESS_RETURN_IF_ERROR(thumbnail.status());
  LIKENESS_RETURN_IF_ERROR(features.status());
  query.thumbnail_ = std::make_shared<const Thumbnail>(*std::move(thumbnail));
  ParallelFor(options.mirrored ? 2 : 1, options.threads, [&](size_t i) {
    const bool mirrored = i == 1;
    const std::vector<LocalFeature> rows =
        AssignWords(mirrored ? MirrorLocal(*features, query.frame().width) : *features, vocabulary, options.words);
    (mirrored ? query.mirrored_ : query.as_is_) = VerifyQuery(rows, query.frame(), mirrored);
    (mirrored ? query.mirrored_nearest_ : query.as_is_nearest_) = VerifyQuery(Nearest(rows), query.frame(), mirrored);
  });
  return query;
}

}  // namespace likeness
