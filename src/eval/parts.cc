#include "eval/parts.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/random.h"
#include "eval/duplicate_variants.h"
#include "eval/metrics.h"
#include "image/encode.h"
#include "image/resample.h"

namespace likeness {
namespace {

constexpr int kQuality = 85;  // of JPEGs that are asked with
constexpr size_t kBoardHits = 5;
constexpr std::array<const char*, 5> kRows = {"crop_30", "crop_10", "turned", "text", "in_scene"};

// A tenth of the area, in the picture's proportions.
absl::StatusOr<Pixels> Tenth(const Pixels& pixels, Random& random) {
  const double side = std::sqrt(0.1);
  const auto part = [&](uint32_t length) {
    return std::max(1, static_cast<int32_t>(std::lround(static_cast<double>(length) * side)));
  };
  Region region{0, 0, part(pixels.width), part(pixels.height)};
  region.x = static_cast<int32_t>(random.Below(pixels.width - static_cast<uint32_t>(region.width) + 1));
  region.y = static_cast<int32_t>(random.Below(pixels.height - static_cast<uint32_t>(region.height) + 1));
  ResampleOptions options;
  options.width = static_cast<uint32_t>(region.width);
  options.height = static_cast<uint32_t>(region.height);
  options.fit = Fit::kStretch;
  Pixels own = pixels;  // regions are of the full size
  own.full_width = own.width;
  own.full_height = own.height;
  return Resample(own, region, options);
}

// The picture with half the sides of the scene at most, somewhere in it.
absl::StatusOr<Pixels> InScene(const Pixels& pixels, const Pixels& scene, Random& random) {
  const double fit = 0.5 * std::min(static_cast<double>(scene.width) / pixels.width,
                                    static_cast<double>(scene.height) / pixels.height);
  ResampleOptions options;
  options.width = std::max(1u, static_cast<uint32_t>(pixels.width * fit));
  options.height = std::max(1u, static_cast<uint32_t>(pixels.height * fit));
  options.fit = Fit::kStretch;
  LIKENESS_ASSIGN_OR_RETURN(const Pixels small, Resample(pixels, std::nullopt, options));
  Pixels out = scene;
  const size_t left = random.Below(out.width - small.width + 1), top = random.Below(out.height - small.height + 1);
  for (size_t y = 0; y < small.height; ++y) {
    std::copy_n(&small.rgb[y * small.width * 3], size_t{small.width} * 3, &out.rgb[((top + y) * out.width + left) * 3]);
  }
  return out;
}

absl::StatusOr<std::string> MakeQuery(size_t row, const Pixels& pixels, const Pixels& scene, Random& random) {
  switch (row) {
    case 0:
      return MakeAltered(pixels, Alteration::kCrop30, random);
    case 2:
      return MakeAltered(pixels, Alteration::kRotate, random);
    case 3:
      return MakeAltered(pixels, Alteration::kText, random);
    default:
      LIKENESS_ASSIGN_OR_RETURN(const Pixels made, row == 1 ? Tenth(pixels, random) : InScene(pixels, scene, random));
      return EncodeJpeg(made, kQuality);
  }
}

nlohmann::ordered_json Pair(const WithoutAndWith& values) {
  return {{"look_alone", values[0]}, {"with_tokens", values[1]}};
}

}  // namespace

absl::StatusOr<PartsReport> EvaluateParts(const PartsCollection& collection, const PartsOptions& options,
                                          const std::function<void(size_t done, size_t total)>& progress) {
  if (collection.pictures.size() < 2) return absl::InvalidArgumentError("parts need a collection of two pictures");
  PartsReport report;
  report.seed = options.seed;
  report.hits = options.hits;
  for (const char* name : kRows) report.rows.push_back({.name = name});
  std::map<std::string, size_t> on_board;
  for (const Signature& one : collection.pictures) ++on_board[collection.board(one)];
  Random random(options.seed);
  std::vector<Signature> order = collection.pictures;
  std::shuffle(order.begin(), order.end(), random);
  const size_t wanted = std::min(options.queries, order.size() - 1);
  std::array<std::vector<double>, 2> times, board_shares;
  for (size_t i = 0; i < wanted; ++i) {
    if (progress) progress(i, wanted);
    const absl::StatusOr<Pixels> pixels = collection.read(order[i]), scene = collection.read(order[i + 1]);
    if (!pixels.ok() || !scene.ok()) {
      ++report.unreadable;
      continue;
    }
    ++report.pictures;
    for (size_t row = 0; row < kRows.size(); ++row) {
      LIKENESS_ASSIGN_OR_RETURN(const std::string jpeg, MakeQuery(row, *pixels, *scene, random));
      PartsRow& counted = report.rows[row];
      ++counted.queries;
      // Who goes first changes, so that neither gains by what the other has warmed.
      for (size_t turn = 0; turn < 2; ++turn) {
        const size_t way = (turn + i) % 2;
        const Stopwatch watch;
        LIKENESS_ASSIGN_OR_RETURN(const auto hits, collection.ask(AsBytes(jpeg), options.hits, way == 1));
        times[way].push_back(watch.Milliseconds());
        const auto found = std::ranges::find(hits, order[i]);
        counted.first[way] += !hits.empty() && hits.front() == order[i] ? 1 : 0;
        counted.among[way] += found != hits.end() ? 1 : 0;
      }
    }
    const std::string board = collection.board(order[i]);
    if (board.empty() || on_board[board] <= kBoardHits) continue;
    ++report.boards_queries;
    for (size_t way = 0; way < 2; ++way) {
      LIKENESS_ASSIGN_OR_RETURN(const auto hits, collection.ask_stored(order[i], kBoardHits, way == 1));
      const auto same =
          std::ranges::count_if(hits, [&](const Signature& hit) { return collection.board(hit) == board; });
      board_shares[way].push_back(static_cast<double>(same) / kBoardHits);
    }
  }
  for (size_t way = 0; way < 2; ++way) {
    for (PartsRow& row : report.rows) {
      row.first[way] /= static_cast<double>(std::max<size_t>(row.queries, 1));
      row.among[way] /= static_cast<double>(std::max<size_t>(row.queries, 1));
    }
    report.median_ms[way] = Quantile(times[way], 0.5);
    report.boards_p5[way] = Mean(board_shares[way]);
  }
  return report;
}

std::string PartsReportToJson(const PartsReport& report) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const PartsRow& row : report.rows) {
    rows.push_back({{"name", row.name},
                    {"queries", row.queries},
                    {"first", Pair(row.first)},
                    {"among_" + std::to_string(report.hits), Pair(row.among)}});
  }
  const nlohmann::ordered_json json = {{"evaluation", "parts"},
                                       {"seed", report.seed},
                                       {"pictures", report.pictures},
                                       {"unreadable", report.unreadable},
                                       {"rows", std::move(rows)},
                                       {"median_ms", Pair(report.median_ms)},
                                       {"boards_queries", report.boards_queries},
                                       {"boards_p_at_5", Pair(report.boards_p5)}};
  return json.dump();
}

std::string PartsReportToText(const PartsReport& report) {
  char line[160];
  std::string text = "asked with  queries   first: look, with tokens   among " + std::to_string(report.hits) + "\n";
  for (const PartsRow& row : report.rows) {
    std::snprintf(line, sizeof(line), "%-10s  %7zu          %5.3f  %5.3f         %5.3f  %5.3f\n", row.name.c_str(),
                  row.queries, row.first[0], row.first[1], row.among[0], row.among[1]);
    text += line;
  }
  std::snprintf(line, sizeof(line), "an upload takes %.1f ms by the look alone, %.1f with tokens (median)\n",
                report.median_ms[0], report.median_ms[1]);
  text += line;
  if (report.boards_queries > 0) {
    std::snprintf(line, sizeof(line), "on the same board, of the first five: %.3f, %.3f (%zu queries)\n",
                  report.boards_p5[0], report.boards_p5[1], report.boards_queries);
    text += line;
  }
  return text;
}

}  // namespace likeness
