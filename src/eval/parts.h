// What the token index is for: does a part of a picture find the picture, does a scene find what stands in it, and
// what does that cost the answers to whole pictures? Asked of a served collection, with the token index and without.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "image/pixels.h"
#include "types/signature.h"

namespace likeness {

struct PartsOptions {
  size_t queries = 300;  // pictures of the collection that are drawn
  uint64_t seed = 1;
  size_t hits = 10;
};

// The collection, as whoever evaluates has it. Called from one thread.
struct PartsCollection {
  std::vector<Signature> pictures;
  std::function<absl::StatusOr<Pixels>(const Signature&)> read;
  // The first `hits` answers to an upload, best first, copies each on their own.
  std::function<absl::StatusOr<std::vector<Signature>>(std::span<const std::byte> jpeg, size_t hits, bool tokens)> ask;
  // The same for a picture of the collection; it is not its own answer.
  std::function<absl::StatusOr<std::vector<Signature>>(const Signature&, size_t hits, bool tokens)> ask_stored;
  std::function<std::string(const Signature&)> board;  // empty: none
};

// By the look alone, and with the token index.
using WithoutAndWith = std::array<double, 2>;

struct PartsRow {
  std::string name;  // "crop_30"
  size_t queries = 0;
  WithoutAndWith first = {}, among = {};  // share whose picture is the first answer, or among the `hits`
};

struct PartsReport {
  uint64_t seed = 0;
  size_t pictures = 0, unreadable = 0, hits = 0;
  std::vector<PartsRow> rows;
  WithoutAndWith median_ms = {};  // of an upload, all of it
  size_t boards_queries = 0;      // pictures on a board with five others
  WithoutAndWith boards_p5 = {};  // share of their first five answers that are on the same board
};

// Rows: "crop_30" and "crop_10" (of the area, anywhere), "turned" (by any angle), "text" (lines over it), "in_scene"
// (put into another picture of the collection, with half of its sides at most). Errors: InvalidArgument when there are
// fewer than two pictures; those of the collection, but a picture that cannot be read is passed over.
absl::StatusOr<PartsReport> EvaluateParts(const PartsCollection& collection, const PartsOptions& options,
                                          const std::function<void(size_t done, size_t total)>& progress = nullptr);

std::string PartsReportToJson(const PartsReport& report);
std::string PartsReportToText(const PartsReport& report);

}  // namespace likeness
