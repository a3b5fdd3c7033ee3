// The answers of the API as JSON text; docs/openapi.yaml describes them. Texts that are not UTF-8 come out with
// replacement characters. Any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "catalog/catalog.h"
#include "serve/backend.h"
#include "serve/search_service.h"

namespace likeness {

std::string AnswerJson(const SearchAnswer& answer);
std::string ImageListJson(const ImageList& list, uint64_t offset);
std::string ImageJson(const ImageRecord& image, std::span<const Pin> pins, std::span<const FeatureKey> features);
// Boards with most pictures first, ties by board.
std::string BoardsJson(std::vector<Board> boards);
std::string StatusJson(const CollectionStatus& status, std::string_view version);

}  // namespace likeness
