#include "serve/query_signals.h"

#include <string>
#include <utility>
#include <vector>

#include "feature/color.h"
#include "pipeline/metadata.h"

namespace likeness {
namespace {

// The code as the index holds it.
std::optional<DeepCode> StoredCode(const Serving& serving, Snapshot::Place place) {
  const DeepColumn* column = serving.snapshot->segments()[place.segment]->deep(serving.feature);
  if (column == nullptr || !column->has(place.doc)) return std::nullopt;
  const auto code = column->code(place.doc);
  const auto vector = column->vector(place.doc);
  return DeepCode{{code.begin(), code.end()}, {vector.begin(), vector.end()}, column->norm(place.doc)};
}

bool WantsColors(const Serving& serving, const SignalWeights& weights) {
  return serving.color && weights[Signal::kColor] != 0;
}

}  // namespace

bool WantsKeypoints(const Serving& serving, const SignalWeights& weights) {
  return serving.keypoints != nullptr && weights[Signal::kTokens] != 0;
}

absl::StatusOr<bool> TakeStored(const Serving& serving, const ImageRecord& image, Catalog& catalog,
                                VisualQuery& query) {
  if (query.weights[Signal::kAnnotation] != 0) {
    LIKENESS_ASSIGN_OR_RETURN(const std::vector<Pin> pins, catalog.Pins({&image.signature, 1}));
    query.words = AnnotationsOfPins(pins);
  }
  const std::optional<Snapshot::Place> place = serving.snapshot->Find(image.signature);
  if (!place) return false;
  bool all = true;
  if (WantsColors(serving, query.weights)) {
    const PlainColumn* column = serving.snapshot->segments()[place->segment]->plain(*serving.color);
    if (column != nullptr && column->has(place->doc)) {
      query.color = PlainValue{*serving.color, std::string(AsText(column->value(place->doc)))};
    }
  }
  if (WantsKeypoints(serving, query.weights)) {
    LIKENESS_ASSIGN_OR_RETURN(auto rows, serving.keypoints->Stored(*serving.snapshot, image.signature));
    if (rows) query.local = LocalValue{serving.keypoints->feature(), *std::move(rows), image.width, image.height};
    all = rows.has_value();
  }
  std::optional<DeepCode> code = StoredCode(serving, *place);
  if (!code) return false;
  query.code = *std::move(code);
  return all;
}

absl::StatusOr<LocalValue> KeypointsOf(const Serving& serving, const Pixels& pixels,
                                       const std::optional<Region>& region) {
  LocalValue local{serving.keypoints->feature(), {}, pixels.full_width, pixels.full_height};
  if (region) {
    local.width = static_cast<uint32_t>(region->width);
    local.height = static_cast<uint32_t>(region->height);
  }
  LIKENESS_ASSIGN_OR_RETURN(local.rows, serving.keypoints->Of(pixels, region));
  return local;
}

std::optional<PlainValue> ColorsOf(const Serving& serving, const SignalWeights& weights, const Pixels& pixels) {
  if (!WantsColors(serving, weights)) return std::nullopt;
  const auto values = MakeColorExtractor()->Extract({&pixels, 1});
  if (!values.ok() || !values->front().ok()) return std::nullopt;
  return PlainValue{*serving.color, std::string(AsText(*values->front()))};
}

}  // namespace likeness
