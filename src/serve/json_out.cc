#include "serve/json_out.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace likeness {
namespace {

using Json = nlohmann::ordered_json;

std::string Text(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

// Rounding may carry a cosine of two equal vectors a hair beyond 1, and JSON knows no NaN.
double Cosine(Score score) {
  return std::isfinite(score.value) ? std::clamp(static_cast<double>(score.value), -1.0, 1.0) : 0.0;
}

double Milliseconds(double value) { return std::isfinite(value) ? std::max(0.0, std::round(value * 1000) / 1000) : 0; }

// Without its kind: the path of "file:PATH", the key of "object:KEY".
std::string_view SourceOf(std::string_view location) {
  for (const std::string_view kind : {"file:", "object:"}) {
    if (location.starts_with(kind)) return location.substr(kind.size());
  }
  return location;
}

Json PinsJson(std::span<const Pin> pins) {
  Json list = Json::array();
  for (const Pin& pin : pins) {
    list.push_back({{"pin", pin.id},
                    {"board", pin.board},
                    {"board_title", pin.board_title},
                    {"user", pin.user},
                    {"description", pin.description},
                    {"link", pin.link}});
  }
  return list;
}

Json RegionJson(const std::optional<Region>& region) {
  if (!region) return nullptr;
  return {{"x", region->x}, {"y", region->y}, {"width", region->width}, {"height", region->height}};
}

}  // namespace

std::string AnswerJson(const SearchAnswer& answer) {
  Json results = Json::array();
  for (const SearchAnswer::Result& result : answer.results) {
    const Hit& hit = result.hit;
    results.push_back({{"signature", hit.signature.Hex()},
                       {"score", Cosine(hit.score)},
                       {"distance", hit.evidence.distance.bits},
                       {"source", result.source},
                       {"width", hit.width},
                       {"height", hit.height},
                       {"evidence",
                        {{"feature", hit.evidence.feature.ToString()},
                         {"hamming_bits", hit.evidence.distance.bits},
                         {"code_bits", hit.evidence.code_bits},
                         {"cosine", Cosine(hit.evidence.cosine)}}},
                       {"pins", PinsJson(result.pins)}});
  }
  return Text({{"release", answer.release},
               {"query",
                {{"signature", answer.query.signature.Hex()},
                 {"width", answer.query.width},
                 {"height", answer.query.height},
                 {"region", RegionJson(answer.query.region)}}},
               {"results", std::move(results)},
               {"coverage", {{"searched", answer.coverage.searched}, {"images", answer.coverage.images}}},
               {"ms",
                {{"decode", Milliseconds(answer.ms.decode)},
                 {"feature", Milliseconds(answer.ms.feature)},
                 {"search", Milliseconds(answer.ms.search)},
                 {"total", Milliseconds(answer.ms.total)}}}});
}

std::string ImageListJson(const ImageList& list, uint64_t offset) {
  Json images = Json::array();
  for (const ImageList::Item& item : list.images) {
    images.push_back({{"signature", item.signature.Hex()},
                      {"width", item.width},
                      {"height", item.height},
                      {"description", item.description},
                      {"board", item.board},
                      {"board_title", item.board_title}});
  }
  return Text({{"total", list.total}, {"offset", offset}, {"images", std::move(images)}});
}

std::string ImageJson(const ImageRecord& image, std::span<const Pin> pins, std::span<const FeatureKey> features) {
  Json keys = Json::array();
  for (const FeatureKey& key : features) keys.push_back({{"feature", key.type}, {"version", key.version}});
  return Text({{"signature", image.signature.Hex()},
               {"width", image.width},
               {"height", image.height},
               {"format", image.format},
               {"bytes", image.bytes},
               {"epoch", image.epoch.ToString()},
               {"source", SourceOf(image.location)},
               {"pins", PinsJson(pins)},
               {"features", std::move(keys)}});
}

std::string BoardsJson(std::vector<Board> boards) {
  std::sort(boards.begin(), boards.end(),
            [](const Board& a, const Board& b) { return a.images != b.images ? a.images > b.images : a.id < b.id; });
  Json list = Json::array();
  for (const Board& board : boards) {
    if (board.id.empty()) continue;  // pins without a board
    list.push_back({{"board", board.id}, {"title", board.title}, {"images", board.images}});
  }
  return Text({{"boards", std::move(list)}});
}

std::string StatusJson(const CollectionStatus& status, std::string_view version) {
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
    release = {{"name", status.release->name}, {"images", status.release->images()}, {"features", std::move(features)}};
  }
  return Text({{"version", version},
               {"images", status.images},
               {"quarantined", std::move(quarantined)},
               {"cells", std::move(cells)},
               {"release", std::move(release)}});
}

}  // namespace likeness
