// What a worker did, as a line of JSON: written by `likeness worker`, read by `likeness fingerprint`, which starts one.
#pragma once

#include <nlohmann/json.hpp>

#include "pipeline/work.h"

namespace likeness {

nlohmann::ordered_json WorkJson(const WorkReport& report);
// Adds what the line says; other lines add nothing.
void AddWork(const nlohmann::json& line, WorkReport& report);

}  // namespace likeness
