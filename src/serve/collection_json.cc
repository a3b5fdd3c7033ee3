#include "serve/collection_json.h"

#include <algorithm>

#include "serve/api_json.h"

namespace likeness {
namespace {

using Json = nlohmann::ordered_json;

// Without its kind: the path of "file:PATH", the key of "object:KEY".
std::string_view SourceOf(std::string_view location) {
  for (const std::string_view kind : {"file:", "object:"}) {
    if (location.starts_with(kind)) return location.substr(kind.size());
  }
  return location;
}

Json PinsJson(std::span<const Pin> pins) {
  Json list = Json::array();
  for (const Pin& pin : pins) list.push_back(PinJson(pin));
  return list;
}

}  // namespace

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
  Json release = nullptr;
  if (!list.release.empty()) release = list.release;
  return OneLine(
      {{"release", std::move(release)}, {"total", list.total}, {"offset", offset}, {"images", std::move(images)}});
}

std::string ImageJson(const ImageRecord& image, std::span<const Pin> pins, std::span<const FeatureKey> features) {
  Json keys = Json::array();
  for (const FeatureKey& key : features) keys.push_back({{"feature", key.type}, {"version", key.version}});
  return OneLine({{"signature", image.signature.Hex()},
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
  return OneLine({{"boards", std::move(list)}});
}

}  // namespace likeness
