// Answers as JSON, the same for the HTTP API (docs/openapi.yaml) and for --json of the command line.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "pipeline/collection_status.h"
#include "serve/search_service.h"
#include "types/pin.h"

namespace likeness {

nlohmann::ordered_json PinJson(const Pin& pin);
nlohmann::ordered_json SearchAnswerJson(const SearchAnswer& answer);
// Tasks in flight, as the status and `likeness queue` give them.
nlohmann::ordered_json TasksJson(const std::vector<TaskInFlight>& tasks);
nlohmann::ordered_json StatusJson(const CollectionStatus& status);
nlohmann::ordered_json ErrorJson(const absl::Status& status);  // {"error":{"code","message"}}

// On one line; bytes that are no UTF-8 are replaced, never an error.
std::string OneLine(const nlohmann::ordered_json& json);

}  // namespace likeness
