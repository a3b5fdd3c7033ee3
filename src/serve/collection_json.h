// The answers about the collection as JSON text; docs/openapi.yaml describes them. Texts that are not UTF-8 come out
// with replacement characters. Any thread. The answers that the command line gives too are in api_json.h.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "catalog/catalog.h"
#include "serve/search_service.h"
#include "types/feature_key.h"

namespace likeness {

std::string ImageListJson(const ImageList& list, uint64_t offset);
std::string ImageJson(const ImageRecord& image, std::span<const Pin> pins, std::span<const FeatureKey> features);
// Boards with most pictures first, ties by board.
std::string BoardsJson(std::vector<Board> boards);

}  // namespace likeness
