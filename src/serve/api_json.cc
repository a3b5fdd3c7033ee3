#include "serve/api_json.h"

#include <chrono>
#include <cmath>
#include <ctime>

#include "serve/color_json.h"

#ifndef LIKENESS_VERSION
#define LIKENESS_VERSION "unknown"
#endif

namespace likeness {

using Json = nlohmann::ordered_json;

namespace {

double Rounded(double value, double unit) { return std::round(value / unit) * unit; }

std::string IsoTime(std::chrono::sys_seconds time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts;
  ::gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

// A float as a person would write it: 0.831264, not 0.8312640190124512.
double Readable(float value) { return Rounded(static_cast<double>(value), 1e-6); }

// What the score was made of, and what is held to be true of the hit.
void AddRanking(const Evidence& found, const SignalWeights& weights, Json& evidence) {
  if (found.probability) evidence["probability"] = Readable(*found.probability);
  if (found.conformity) evidence["conformity"] = Readable(*found.conformity);
  Json signals = Json::object();
  for (size_t i = 0; i < kSignals; ++i) {
    const auto signal = static_cast<Signal>(i);
    if (!found.signals.has(signal)) continue;
    signals[std::string(kSignalNames[i])] = {{"value", Readable(found.signals[signal])},
                                             {"weight", Readable(weights[signal])}};
  }
  if (!signals.empty()) evidence["signals"] = std::move(signals);
}

// Keypoints that the query and the hit have in common, and where.
Json TokensJson(const TokenEvidence& tokens) {
  Json region = Json::array();
  for (const auto& [x, y] : tokens.region) region.push_back({Readable(x), Readable(y)});
  return {{"pairs", tokens.pairs}, {"verified", tokens.verified}, {"region", std::move(region)}};
}

Json DuplicatesJson(const std::vector<Duplicate>& duplicates) {
  Json list = Json::array();
  for (const Duplicate& one : duplicates) {
    list.push_back({{"signature", one.signature.Hex()},
                    {"width", one.width},
                    {"height", one.height},
                    {"score", Readable(one.score.value)},
                    {"hash_bits", one.hash_distance ? Json(one.hash_distance->bits) : Json()},
                    {"hamming_bits", one.code_distance ? Json(one.code_distance->bits) : Json()}});
  }
  return list;
}

Json QueueJson(const CollectionStatus& status) {
  const QueueStats& queue = status.queue;
  Json oldest = nullptr;
  if (queue.oldest_seconds) oldest = Rounded(*queue.oldest_seconds, 1e-3);
  return {{"waiting", queue.waiting},
          {"leased", queue.leased},
          {"oldest_seconds", std::move(oldest)},
          {"chunks_per_second", Rounded(queue.done_per_second, 1e-6)}};
}

Json WorkersJson(const std::vector<WorkerBeat>& workers) {
  Json list = Json::array();
  for (const WorkerBeat& worker : workers) {
    list.push_back({{"name", worker.name},
                    {"host", worker.host},
                    {"started", IsoTime(worker.started)},
                    {"last_seen", IsoTime(worker.last_seen)},
                    {"chunk", worker.chunk},
                    {"images", worker.images},
                    {"images_per_second", Rounded(worker.images_per_second, 1e-3)}});
  }
  return list;
}

Json CalibrationJson(const std::optional<SearchAnswer::Calibration>& calibration) {
  if (!calibration) return nullptr;
  return *calibration == SearchAnswer::Calibration::kHome ? "home" : "shipped";
}

}  // namespace

Json TasksJson(const std::vector<TaskInFlight>& tasks) {
  Json list = Json::array();
  for (const TaskInFlight& task : tasks) {
    list.push_back({{"chunk", task.id},
                    {"worker", task.worker},
                    {"attempt", task.attempt},
                    {"lease_seconds_left", Rounded(task.seconds_left, 1e-3)}});
  }
  return list;
}

Json PinJson(const Pin& pin) {
  return {{"pin", pin.id},
          {"board", pin.board},
          {"board_title", pin.board_title},
          {"user", pin.user},
          {"description", pin.description},
          {"link", pin.link}};
}

Json SearchAnswerJson(const SearchAnswer& answer) {
  Json region = nullptr;
  if (const auto& box = answer.query.region) {
    region = {{"x", box->x}, {"y", box->y}, {"width", box->width}, {"height", box->height}};
  }
  Json results = Json::array();
  for (const SearchAnswer::Result& result : answer.results) {
    const Hit& hit = result.hit;
    Json pins = Json::array();
    for (const Pin& pin : result.pins) pins.push_back(PinJson(pin));
    // Where a color alone was asked for there are no codes to compare.
    const bool compared = hit.evidence.code_bits > 0;
    const auto& plain = hit.evidence.plain;
    Json evidence{{"feature", compared || !plain ? hit.evidence.feature.ToString() : plain->feature.ToString()},
                  {"hamming_bits", compared ? Json(hit.evidence.distance.bits) : Json()},
                  {"code_bits", compared ? Json(hit.evidence.code_bits) : Json()},
                  {"cosine", compared ? Json(Readable(hit.evidence.cosine.value)) : Json()}};
    if (plain) {
      evidence["color"] = {{"feature", plain->feature.ToString()},
                           {"match", Readable(plain->match)},
                           {"distance", Readable(1 - plain->match)},
                           {"palette", PaletteJson(AsBytes(plain->value))}};
    }
    if (hit.evidence.tokens) evidence["tokens"] = TokensJson(*hit.evidence.tokens);
    AddRanking(hit.evidence, answer.weights, evidence);
    results.push_back({{"signature", hit.signature.Hex()},
                       {"score", Readable(hit.score.value)},
                       {"distance", compared ? Json(hit.evidence.distance.bits) : Json()},
                       {"source", result.source},
                       {"width", hit.width},
                       {"height", hit.height},
                       {"evidence", std::move(evidence)},
                       {"pins", std::move(pins)}});
    if (!hit.duplicates.empty()) results.back()["duplicates"] = DuplicatesJson(hit.duplicates);
  }
  const bool picture = answer.query.signature.has_value();
  Json query{{"signature", picture ? Json(answer.query.signature->Hex()) : Json()},
             {"width", picture ? Json(answer.query.width) : Json()},
             {"height", picture ? Json(answer.query.height) : Json()},
             {"region", std::move(region)}};
  if (const auto& wish = answer.query.color) {
    query["color"] = {{"color", HexColor(wish->color.lab)},
                      {"name", std::string(NearestColorName(wish->color.lab))},
                      {"weight", picture ? Readable(wish->weight) : 1.0}};
  }
  Json coverage{{"searched", answer.coverage.searched}, {"images", answer.coverage.images}};
  for (const Coverage::Gap& gap : answer.coverage.gaps) {
    coverage["gaps"].push_back({{"images", gap.images}, {"reason", gap.reason}});
  }
  Json ranking{{"floor", answer.floor ? Json(Rounded(*answer.floor, 1e-6)) : Json()},
               {"calibration", CalibrationJson(answer.calibration)},
               {"conformity", answer.conformity ? Json(Readable(*answer.conformity)) : Json()},
               {"below_floor", answer.left_out.below_floor},
               {"not_conforming", answer.left_out.not_conforming},
               {"collapsed", answer.left_out.collapsed}};
  return {{"release", answer.release},
          {"query", std::move(query)},
          {"results", std::move(results)},
          {"ranking", std::move(ranking)},
          {"coverage", std::move(coverage)},
          {"ms",
           {{"decode", Rounded(answer.ms.decode, 1e-3)},
            {"feature", Rounded(answer.ms.feature, 1e-3)},
            {"search", Rounded(answer.ms.search, 1e-3)},
            {"total", Rounded(answer.ms.total, 1e-3)}}}};
}

Json StatusJson(const CollectionStatus& status) {
  Json quarantined = Json::array();
  for (const Quarantined& one : status.quarantined) {
    quarantined.push_back({{"source", one.source}, {"reason", one.reason}, {"attempts", one.attempts}});
  }
  Json cells = Json::array();
  for (const Cell& cell : status.cells) {
    cells.push_back({{"feature", cell.feature.ToString()},
                     {"epoch", cell.shard.epoch.ToString()},
                     {"shard", cell.shard.shard},
                     {"images", cell.images},
                     {"parts", cell.parts},
                     {"state", cell.done ? "done" : (status.running(cell) ? "running" : "missing")}});
  }
  Json release = nullptr;
  if (status.release) {
    Json features = Json::array();
    for (const Release::Feature& feature : status.release->features) features.push_back(feature.key.ToString());
    release = {{"name", status.release->name},
               {"created", status.release->created},
               {"images", status.release->images()},
               {"features", std::move(features)}};
  }
  Json young = nullptr;
  if (status.young) young = {{"images", status.young->images}, {"segments", status.young->segments}};
  return {{"version", LIKENESS_VERSION},
          {"images", status.counts.images},
          {"pins", status.counts.pins},
          {"quarantined_images", status.counts.quarantined},
          {"quarantined", std::move(quarantined)},
          {"part_images", status.part_images},
          {"cells", std::move(cells)},
          {"queue", QueueJson(status)},
          {"tasks", TasksJson(status.tasks)},
          {"workers", WorkersJson(status.workers)},
          {"release", std::move(release)},
          {"young", std::move(young)}};
}

Json ErrorJson(const absl::Status& status) {
  return {{"error", {{"code", CodeName(status)}, {"message", MessageOf(status)}}}};
}

std::string OneLine(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace likeness
