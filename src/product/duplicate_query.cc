#include "product/duplicate_query.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "feature/local.h"

namespace likeness {
namespace {

constexpr size_t kCells = 4, kDirections = 8;  // of a descriptor, in each direction of place, and around

void SortByWord(std::vector<LocalFeature>& rows) { std::ranges::stable_sort(rows, {}, &LocalFeature::word); }

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
  LIKENESS_ASSIGN_OR_RETURN(Thumbnail thumbnail, Thumbnail::Of(pixels));
  query.thumbnail_ = std::make_shared<const Thumbnail>(std::move(thumbnail));
  query.width_ = pixels.full_width;
  query.height_ = pixels.full_height;
  if (const absl::StatusOr<PdqTransform> hash = PdqTransform::Of(pixels); hash.ok()) {
    query.quality_ = hash->quality();
    query.forms_ = hash->AllForms();
  }
  LIKENESS_ASSIGN_OR_RETURN(const LocalFeatures features, ExtractLocal(pixels));
  query.rows_ = AssignWords(features, vocabulary, options.words);
  SortByWord(query.rows_);
  query.as_is_ = VerifyQuery(query.rows_, query.frame());
  if (options.mirrored) {
    query.mirrored_rows_ = AssignWords(MirrorLocal(features, query.frame().width), vocabulary, options.words);
    SortByWord(query.mirrored_rows_);
    query.mirrored_ = VerifyQuery(query.mirrored_rows_, query.frame(), /*mirrored=*/true);
  }
  return query;
}

}  // namespace likeness
