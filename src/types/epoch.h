// Epochs and shards: how the collection is cut so that a day's work touches a day's images (paper, section 2.2).
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace likeness {

// A UTC date, the day an image was first seen. Written YYYY-MM-DD.
class Epoch {
 public:
  Epoch() = default;
  explicit Epoch(std::chrono::sys_days day) : day_(day) {}
  static Epoch Of(std::chrono::system_clock::time_point time) {
    return Epoch(std::chrono::floor<std::chrono::days>(time));
  }
  // Nothing unless `text` is a valid date between 0001-01-01 and 9999-12-31.
  static std::optional<Epoch> Parse(std::string_view text);
  std::string ToString() const;
  std::chrono::sys_days day() const { return day_; }

  friend auto operator<=>(const Epoch&, const Epoch&) = default;

 private:
  std::chrono::sys_days day_{};
};

// One shard of one epoch: at most 200,000 images, sorted by signature.
struct ShardId {
  Epoch epoch;
  uint32_t shard = 0;

  // "2026-11-22/00003": part of object keys, so that they sort by date and number.
  std::string ToString() const;
  // Nothing unless `text` is what ToString gives.
  static std::optional<ShardId> Parse(std::string_view text);
  friend auto operator<=>(const ShardId&, const ShardId&) = default;
};

}  // namespace likeness
