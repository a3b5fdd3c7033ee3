#include "cli/work_json.h"

#include <array>
#include <utility>

namespace likeness {
namespace {

constexpr std::array<std::pair<const char*, uint64_t WorkReport::*>, 5> kMembers = {{
    {"chunks", &WorkReport::chunks},
    {"decoded", &WorkReport::decoded},
    {"computed", &WorkReport::computed},
    {"quarantined", &WorkReport::quarantined},
    {"divided", &WorkReport::divided},
}};

}  // namespace

nlohmann::ordered_json WorkJson(const WorkReport& report) {
  nlohmann::ordered_json json;
  for (const auto& [name, member] : kMembers) json[name] = report.*member;
  return json;
}

void AddWork(const nlohmann::json& line, WorkReport& report) {
  if (!line.is_object()) return;
  for (const auto& [name, member] : kMembers) {
    const auto value = line.find(name);
    if (value != line.end() && value->is_number_unsigned()) report.*member += value->get<uint64_t>();
  }
}

}  // namespace likeness
