#include "serve/api_json.h"

#include <cmath>

#include "serve/color_json.h"

#ifndef LIKENESS_VERSION
#define LIKENESS_VERSION "unknown"
#endif

namespace likeness {

using Json = nlohmann::ordered_json;

namespace {

double Rounded(double value, double unit) { return std::round(value / unit) * unit; }

// A float as a person would write it: 0.831264, not 0.8312640190124512.
double Readable(float value) { return Rounded(static_cast<double>(value), 1e-6); }

}  // namespace

Json PinJson(const Pin& pin) {
  return {{"pin", pin.id},
          {"board", pin.board},
          {"board_title", pin.board_title},
          {"user", pin.user},
          {"description", pin.description},
          {"link", pin.link}};
}

Json SearchAnswerJson(const SearchAnswer& answer) {
  Json region = nullptr;
  if (const auto& box = answer.query.region) {
    region = {{"x", box->x}, {"y", box->y}, {"width", box->width}, {"height", box->height}};
  }
  Json results = Json::array();
  for (const SearchAnswer::Result& result : answer.results) {
    const Hit& hit = result.hit;
    Json pins = Json::array();
    for (const Pin& pin : result.pins) pins.push_back(PinJson(pin));
    // Where a color alone was asked for there are no codes to compare.
    const bool compared = hit.evidence.code_bits > 0;
    const auto& plain = hit.evidence.plain;
    Json evidence{{"feature", compared || !plain ? hit.evidence.feature.ToString() : plain->feature.ToString()},
                  {"hamming_bits", compared ? Json(hit.evidence.distance.bits) : Json()},
                  {"code_bits", compared ? Json(hit.evidence.code_bits) : Json()},
                  {"cosine", compared ? Json(Readable(hit.evidence.cosine.value)) : Json()}};
    if (plain) {
      evidence["color"] = {{"feature", plain->feature.ToString()},
                           {"match", Readable(plain->match)},
                           {"distance", Readable(1 - plain->match)},
                           {"palette", PaletteJson(AsBytes(plain->value))}};
    }
    results.push_back({{"signature", hit.signature.Hex()},
                       {"score", Readable(hit.score.value)},
                       {"distance", compared ? Json(hit.evidence.distance.bits) : Json()},
                       {"source", result.source},
                       {"width", hit.width},
                       {"height", hit.height},
                       {"evidence", std::move(evidence)},
                       {"pins", std::move(pins)}});
  }
  const bool picture = answer.query.signature.has_value();
  Json query{{"signature", picture ? Json(answer.query.signature->Hex()) : Json()},
             {"width", picture ? Json(answer.query.width) : Json()},
             {"height", picture ? Json(answer.query.height) : Json()},
             {"region", std::move(region)}};
  if (const auto& wish = answer.query.color) {
    query["color"] = {{"color", HexColor(wish->color.lab)},
                      {"name", std::string(NearestColorName(wish->color.lab))},
                      {"weight", picture ? Readable(wish->weight) : 1.0}};
  }
  return {{"release", answer.release},
          {"query", std::move(query)},
          {"results", std::move(results)},
          {"coverage", {{"searched", answer.coverage.searched}, {"images", answer.coverage.images}}},
          {"ms",
           {{"decode", Rounded(answer.ms.decode, 1e-3)},
            {"feature", Rounded(answer.ms.feature, 1e-3)},
            {"search", Rounded(answer.ms.search, 1e-3)},
            {"total", Rounded(answer.ms.total, 1e-3)}}}};
}

Json StatusJson(const CollectionStatus& status) {
  Json quarantined = Json::array();
  for (const Quarantined& one : status.quarantined) {
    quarantined.push_back({{"source", one.source}, {"reason", one.reason}});
  }
  Json cells = Json::array();
  for (const Cell& cell : status.cells) {
    cells.push_back({{"feature", cell.feature.ToString()},
                     {"epoch", cell.shard.epoch.ToString()},
                     {"shard", cell.shard.shard},
                     {"images", cell.images},
                     {"state", cell.done ? "done" : "missing"}});
  }
  Json release = nullptr;
  if (status.release) {
    Json features = Json::array();
    for (const Release::Feature& feature : status.release->features) features.push_back(feature.key.ToString());
    release = {{"name", status.release->name},
               {"created", status.release->created},
               {"images", status.release->images()},
               {"features", std::move(features)}};
  }
  return {{"version", LIKENESS_VERSION},           {"images", status.counts.images}, {"pins", status.counts.pins},
          {"quarantined", std::move(quarantined)}, {"cells", std::move(cells)},      {"release", std::move(release)}};
}

Json ErrorJson(const absl::Status& status) {
  return {{"error", {{"code", CodeName(status)}, {"message", MessageOf(status)}}}};
}

std::string OneLine(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace likeness
