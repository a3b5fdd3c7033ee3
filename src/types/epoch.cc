#include "types/epoch.h"

#include <charconv>
#include <cstdio>

namespace likeness {

std::optional<Epoch> Epoch::Parse(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  const auto number = [&](size_t begin, size_t size) {
    unsigned value = 0;
    const char* end = text.data() + begin + size;
    const auto [stop, error] = std::from_chars(text.data() + begin, end, value);
    return error == std::errc() && stop == end ? std::optional(value) : std::nullopt;
  };
  const auto year = number(0, 4), month = number(5, 2), day = number(8, 2);
  if (!year || !month || !day || *year == 0) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(*year)), std::chrono::month(*month),
                                         std::chrono::day(*day)};
  if (!date.ok()) return std::nullopt;
  return Epoch(std::chrono::sys_days(date));
}

std::string Epoch::ToString() const {
  const std::chrono::year_month_day date{day_};
  char text[32];
  std::snprintf(text, sizeof(text), "%04d-%02u-%02u", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
  return text;
}

std::string ShardId::ToString() const {
  char number[16];
  std::snprintf(number, sizeof(number), "/%05u", shard);
  return epoch.ToString() + number;
}

std::optional<ShardId> ShardId::Parse(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::optional<Epoch> epoch = Epoch::Parse(text.substr(0, slash));
  const std::string_view digits = text.substr(slash + 1);
  ShardId id;
  const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), id.shard);
  if (!epoch || error != std::errc() || stop != digits.data() + digits.size()) return std::nullopt;
  id.epoch = *epoch;
  return id.ToString() == text ? std::optional(id) : std::nullopt;
}

}  // namespace likeness
