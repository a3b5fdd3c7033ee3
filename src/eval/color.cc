#include "eval/color.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/file.h"
#include "base/thread_pool.h"
#include "eval/picture_encoder.h"
#include "feature/color.h"
#include "feature/color_distance.h"
#include "feature/color_query.h"
#include "image/decode.h"
#include "kernel/dot.h"

namespace likeness {
namespace {

constexpr std::array<size_t, 3> kRanks = {1, 5, 10};
constexpr size_t kFirst = 10;

absl::StatusOr<Pixels> ReadPicture(const std::filesystem::path& path, const ImageLimits& limits) {
  LIKENESS_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, limits.max_bytes));
  return DecodeImage(AsBytes(bytes), limits, kStandardSize);
}

struct Features {
  std::vector<ColorSignature> signatures;
  std::vector<float> histograms;  // [pictures, kHsvBins]
  double whole = 0, colors = 0;
};

// Drops pictures that cannot be read from the set, with their reasons in `report`.
Features Compute(LabelledSet& set, const ColorEvalOptions& options, const RelevanceProgress& progress,
                 ColorReport& report) {
  const size_t count = set.pictures.size();
  Features all;
  all.signatures.resize(count);
  all.histograms.resize(count * kHsvBins);
  const auto hsv = MakeHsvHistogram();
  std::vector<bool> unreadable(count, false);
  std::mutex mutex;  // guards what follows
  size_t done = 0, whole = 0;
  ParallelFor(count, options.threads, [&](size_t i) {
    const auto pixels = ReadPicture(set.pictures[i].path, options.limits);
    bool stands_out = true;
    absl::Status status = pixels.status();
    if (pixels.ok()) {
      const LabPicture small = SmallLabPicture(*pixels, kSalientSide);
      const SalientRegion region = FindSalientRegion(small, pixels->full_width, pixels->full_height);
      all.signatures[i] = ComputeColorSignature(small, region);
      stands_out = !region.whole;
      status = hsv->Encode({&*pixels, 1}, std::span(all.histograms).subspan(i * kHsvBins, kHsvBins));
    }
    const std::lock_guard lock(mutex);
    if (!status.ok()) {
      unreadable[i] = true;
      report.unreadable.push_back({set.pictures[i].path.string(), MessageOf(status)});
    }
    whole += stands_out ? 0 : 1;
    if (progress) progress("colors", ++done, count);
  });
  std::ranges::sort(report.unreadable, {}, &LabelledSet::Problem::source);
  size_t kept = 0;
  for (size_t i = 0; i < count; ++i) {
    if (unreadable[i]) continue;
    if (kept != i) {
      all.signatures[kept] = std::move(all.signatures[i]);
      std::copy_n(&all.histograms[i * kHsvBins], kHsvBins, &all.histograms[kept * kHsvBins]);
    }
    all.colors += static_cast<double>(all.signatures[kept++].size());
  }
  all.signatures.resize(kept);
  all.histograms.resize(kept * kHsvBins);
  set.Drop(unreadable);
  all.colors /= static_cast<double>(std::max<size_t>(kept, 1));
  all.whole = static_cast<double>(whole) / static_cast<double>(std::max<size_t>(kept, 1));
  return all;
}

// The first rows of each query without itself, best first.
using Rank = std::function<std::vector<uint32_t>(uint32_t query, size_t count)>;

ColorRanking Judge(const LabelledSet& set, std::span<const uint32_t> queries, const ColorEvalOptions& options,
                   const Rank& rank) {
  std::array<std::vector<double>, kRanks.size()> precision;
  for (auto& values : precision) values.resize(queries.size());
  ParallelFor(queries.size(), options.threads, [&](size_t q) {
    std::vector<uint8_t> relevant;
    for (const uint32_t row : rank(queries[q], kFirst)) {
      relevant.push_back(set.pictures[row].label == set.pictures[queries[q]].label ? 1 : 0);
    }
    for (size_t k = 0; k < kRanks.size(); ++k) precision[k][q] = PrecisionAt(relevant, kRanks[k]);
  });
  const auto estimate = [&](const std::vector<double>& values) {
    return Estimate{Mean(values), BootstrapMean(values, options.bootstrap)};
  };
  return {estimate(precision[0]), estimate(precision[1]), estimate(precision[2])};
}

std::vector<NamedColorResult> JudgeNames(const LabelledSet& set, const std::vector<ColorSignature>& signatures) {
  std::vector<NamedColorResult> results;
  for (uint32_t label = 0; label < set.labels.size(); ++label) {
    const auto query = ColorQuery::Parse(set.labels[label]);
    if (!query) continue;
    NamedColorResult result;
    result.name = set.labels[label];
    std::vector<std::pair<float, uint32_t>> ranked;
    for (uint32_t row = 0; row < signatures.size(); ++row) {
      ranked.emplace_back(-query->Match(signatures[row]), row);
      result.pictures += set.pictures[row].label == label ? 1 : 0;
    }
    if (result.pictures < kFirst || ranked.size() < kFirst) continue;
    std::ranges::partial_sort(ranked, ranked.begin() + kFirst);
    for (size_t i = 0; i < kFirst; ++i) {
      result.p_at_10 += set.pictures[ranked[i].second].label == label ? 1.0 / kFirst : 0;
    }
    result.chance = static_cast<double>(result.pictures) / static_cast<double>(signatures.size());
    results.push_back(std::move(result));
  }
  return results;
}

void AddOverlap(const std::vector<uint8_t>& mask, const std::vector<uint8_t>& truth, RegionResult& sum) {
  double both = 0, in_mask = 0, in_truth = 0;
  for (size_t i = 0; i < mask.size(); ++i) {
    both += mask[i] & truth[i];
    in_mask += mask[i];
    in_truth += truth[i];
  }
  sum.precision += both / std::max(1.0, in_mask);
  sum.recall += both / std::max(1.0, in_truth);
  sum.share += in_mask / static_cast<double>(mask.size());
}

// Sets the pixels of a small picture that lie in a box given in shares of the sides.
void Fill(double left, double top, double right, double bottom, const SalientRegion& region,
          std::vector<uint8_t>& mask) {
  const auto at = [](double share, uint32_t size) {
    return static_cast<size_t>(std::clamp(std::lround(share * size), 0L, static_cast<long>(size)));
  };
  for (size_t y = at(top, region.height); y < at(bottom, region.height); ++y) {
    for (size_t x = at(left, region.width); x < at(right, region.width); ++x) mask[y * region.width + x] = 1;
  }
}

absl::Status JudgeRegions(const ColorEvalOptions& options, const RelevanceProgress& progress, ColorReport& report) {
  std::ifstream lines(options.boxes);
  if (!lines) return absl::NotFoundError("there is no file " + options.boxes.string());
  size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object() || !json.contains("image") || !json["image"].is_string() || !json.contains("boxes") ||
        !json["boxes"].is_array()) {
      return absl::InvalidArgumentError(options.boxes.string() + ", line " + std::to_string(number) +
                                        ": it is no object with image and boxes");
    }
    const auto name = json["image"].get<std::string>();
    absl::StatusOr<Pixels> pixels = absl::NotFoundError("");
    for (const char* folder : {"", "photos", "images"}) {
      if (!pixels.ok()) pixels = ReadPicture(options.boxes.parent_path() / folder / name, options.limits);
    }
    if (!pixels.ok()) {
      report.unreadable.push_back({name, MessageOf(pixels.status())});
      continue;
    }
    const SalientRegion region = FindSalientRegion(*pixels);
    std::vector<uint8_t> truth(region.mask.size(), 0), middle(region.mask.size(), 0);
    for (const auto& box : json["boxes"]) {
      const auto field = [&](const char* key) {
        const auto found = box.is_object() ? box.find(key) : box.end();
        return found != box.end() && found->is_number() ? found->get<double>() : 0.0;
      };
      const double x = field("x") / pixels->full_width, y = field("y") / pixels->full_height;
      Fill(x, y, x + field("width") / pixels->full_width, y + field("height") / pixels->full_height, region, truth);
    }
    if (std::ranges::find(truth, 1) == truth.end()) continue;
    const double share = static_cast<double>(std::ranges::count(region.mask, 1)) / static_cast<double>(truth.size());
    const double half = std::sqrt(share) / 2;
    Fill(0.5 - half, 0.5 - half, 0.5 + half, 0.5 + half, region, middle);
    AddOverlap(region.mask, truth, report.region);
    AddOverlap(middle, truth, report.middle);
    ++report.boxed;
    if (progress) progress("regions", report.boxed, 0);
  }
  const double count = static_cast<double>(std::max<size_t>(report.boxed, 1));
  for (RegionResult* result : {&report.region, &report.middle}) {
    result->precision /= count, result->recall /= count, result->share /= count;
  }
  return absl::OkStatus();
}

}  // namespace

bool ColorReport::ok() const { return std::ranges::all_of(results, &BarResult::ok); }

absl::StatusOr<ColorReport> EvaluateColor(const ColorEvalOptions& options, const RelevanceProgress& progress) {
  LIKENESS_ASSIGN_OR_RETURN(LabelledSet set, ReadLabelledLines(options.labels, options.field, options.limits));
  ColorReport report;
  report.labels = options.labels.string();
  report.field = options.field;
  report.unlabelled = set.unlabelled;
  report.unreadable = set.problems;
  report.feature = ColorFeatureKey().ToString();
  const Features features = Compute(set, options, progress, report);
  report.pictures = set.pictures.size();
  report.colors = features.colors;
  report.whole = features.whole;

  std::vector<size_t> of_label(set.labels.size(), 0);
  for (const LabelledPicture& picture : set.pictures) ++of_label[picture.label];
  std::vector<uint32_t> queries;
  for (uint32_t row = 0; row < set.pictures.size(); ++row) {
    if (of_label[set.pictures[row].label] > 1) queries.push_back(row);
  }
  if (queries.empty())
    return absl::InvalidArgumentError("no picture has another of its label, so that none can be asked");
  report.queries = queries.size();

  ColorIndex index;
  for (const ColorSignature& signature : features.signatures) index.Add(signature);
  report.signature = Judge(set, queries, options, [&](uint32_t query, size_t count) {
    std::vector<uint32_t> rows;
    for (const ColorIndex::Hit& hit : index.Nearest(features.signatures[query], count + 1)) {
      if (hit.row != query && rows.size() < count) rows.push_back(hit.row);
    }
    return rows;
  });
  report.histogram = Judge(set, queries, options, [&](uint32_t query, size_t count) {
    const auto row = [&](size_t i) { return std::span(features.histograms).subspan(i * kHsvBins, kHsvBins); };
    std::vector<std::pair<float, uint32_t>> ranked;
    for (uint32_t i = 0; i < set.pictures.size(); ++i) {
      if (i != query) ranked.emplace_back(-DotFloat(row(query), row(i)), i);
    }
    count = std::min(count, ranked.size());
    std::ranges::partial_sort(ranked, ranked.begin() + static_cast<ptrdiff_t>(count));
    std::vector<uint32_t> rows;
    for (size_t i = 0; i < count; ++i) rows.push_back(ranked[i].second);
    return rows;
  });
  report.names = JudgeNames(set, features.signatures);
  if (!options.boxes.empty()) LIKENESS_RETURN_IF_ERROR(JudgeRegions(options, progress, report));

  double named = 0;
  for (const NamedColorResult& result : report.names)
    named += result.p_at_10 / static_cast<double>(report.names.size());
  const auto add = [&](const char* name, double value, const char* unit, std::optional<double> bar = std::nullopt) {
    report.results.push_back({name, value, unit, bar, true});
  };
  add("p_at_10", report.signature.p_at_10.value, "share");
  add("p_at_10_histogram", report.histogram.p_at_10.value, "share");
  add("p_at_10_over_histogram", report.signature.p_at_10.value / std::max(1e-9, report.histogram.p_at_10.value),
      "times", options.bar);
  if (!report.names.empty()) add("p_at_10_by_name", named, "share, mean over names");
  if (report.boxed > 0) {
    add("region_precision", report.region.precision, "share");
    add("region_recall", report.region.recall, "share");
    add("middle_precision", report.middle.precision, "share");
    add("middle_recall", report.middle.recall, "share");
  }
  return report;
}

std::string ColorReportToText(const ColorReport& report) {
  char line[200];
  std::string text;
  const auto add = [&](auto... arguments) {
    std::snprintf(line, sizeof(line), arguments...);
    text += line;
  };
  add("%zu queries over %zu pictures, %.1f colors each\n", report.queries, report.pictures, report.colors);
  add("%-28s %7s %7s %7s   %s\n", "", "P@1", "P@5", "P@10", "95 % of P@10");
  for (const auto& [name, ranking] :
       {std::pair("salient color", &report.signature), std::pair("histogram of the whole", &report.histogram)}) {
    add("%-28s %7.4f %7.4f %7.4f   %.4f to %.4f\n", name, ranking->p_at_1.value, ranking->p_at_5.value,
        ranking->p_at_10.value, ranking->p_at_10.interval.low, ranking->p_at_10.interval.high);
  }
  if (!report.names.empty()) add("\n%-28s %7s %7s %9s\n", "asked by name", "P@10", "by lot", "pictures");
  for (const NamedColorResult& result : report.names) {
    add("%-28.28s %7.2f %7.2f %9zu\n", result.name.c_str(), result.p_at_10, result.chance, result.pictures);
  }
  if (report.boxed > 0) {
    add("\n%-28s %9s %7s %7s   over %zu pictures\n", "within boxes", "precision", "recall", "share", report.boxed);
    for (const auto& [name, region] :
         {std::pair("salient region", &report.region), std::pair("as much in the middle", &report.middle)}) {
      add("%-28s %9.3f %7.3f %7.3f\n", name, region->precision, region->recall, region->share);
    }
  }
  for (const BarResult& result : report.results) {
    if (!result.bar) continue;
    add("%s: %s %.4f, bar %.4f\n", result.ok() ? "ok" : "MISSED", result.name.c_str(), result.value, *result.bar);
  }
  return text;
}

std::string ColorReportToJson(const ColorReport& report) {
  using Json = nlohmann::ordered_json;
  const auto ranking = [](const ColorRanking& of) {
    const auto interval = [](const Estimate& estimate) { return Json{estimate.interval.low, estimate.interval.high}; };
    return Json{{"p_at_1", of.p_at_1.value},   {"p_at_1_interval", interval(of.p_at_1)},
                {"p_at_5", of.p_at_5.value},   {"p_at_5_interval", interval(of.p_at_5)},
                {"p_at_10", of.p_at_10.value}, {"p_at_10_interval", interval(of.p_at_10)}};
  };
  const auto region = [](const RegionResult& of) {
    return Json{{"precision", of.precision}, {"recall", of.recall}, {"share", of.share}};
  };
  Json json = {{"labels", report.labels},
               {"field", report.field},
               {"images", report.pictures},
               {"queries", report.queries},
               {"unlabelled", report.unlabelled},
               {"unreadable", Json::array()},
               {"feature", report.feature},
               {"colors", report.colors},
               {"whole", report.whole},
               {"signature", ranking(report.signature)},
               {"histogram", ranking(report.histogram)},
               {"names", Json::array()},
               {"boxed", report.boxed},
               {"region", region(report.region)},
               {"middle", region(report.middle)},
               {"results", Json::array()}};
  for (const LabelledSet::Problem& problem : report.unreadable) {
    json["unreadable"].push_back({{"source", problem.source}, {"reason", problem.reason}});
  }
  for (const NamedColorResult& result : report.names) {
    json["names"].push_back(
        {{"name", result.name}, {"pictures", result.pictures}, {"p_at_10", result.p_at_10}, {"chance", result.chance}});
  }
  for (const BarResult& result : report.results) {
    json["results"].push_back({{"name", result.name},
                               {"value", result.value},
                               {"unit", result.unit},
                               {"bar", result.bar ? Json(*result.bar) : Json()},
                               {"better", result.higher_is_better ? "higher" : "lower"},
                               {"ok", result.ok()}});
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace likeness
