#include <nlohmann/json.hpp>

#include "eval/conformity_curve.h"
#include "eval/relevance.h"

namespace likeness {
namespace {

using Json = nlohmann::ordered_json;

void Put(Json& json, const std::string& name, const Estimate& estimate) {
  json[name] = estimate.value;
  json[name + "_interval"] = {estimate.interval.low, estimate.interval.high};
}

void Put(Json& json, const Quality& quality) {
  Put(json, "p_at_1", quality.p_at_1);
  Put(json, "p_at_5", quality.p_at_5);
  Put(json, "p_at_10", quality.p_at_10);
  Put(json, "map", quality.map);
  json["precision"] = quality.precision;
}

Json ToJson(const Quality& quality) {
  Json json;
  Put(json, quality);
  return json;
}

Json ToJson(const Loss& loss) {
  Json json;
  Put(json, "p_at_1", loss.p_at_1);
  Put(json, "p_at_10", loss.p_at_10);
  Put(json, "map", loss.map);
  return json;
}

Json ToJson(const Percentiles& percentiles) { return {{"p50", percentiles.p50}, {"p99", percentiles.p99}}; }

Json ToJson(const QueryLatency& latency) {
  Json json = ToJson(latency.total);
  json["extraction"] = ToJson(latency.extraction);
  json["retrieval"] = ToJson(latency.retrieval);
  return json;
}

Json ToJson(const CodeReport& code) {
  Json json = {{"code_bits", code.bits}};
  Put(json, code.search);
  json["loss"] = ToJson(code.search_loss);
  json["loss_to_centred"] = ToJson(code.search_loss_to_centred);
  json["hamming_only"] = ToJson(code.hamming);
  json["hamming_only"]["loss"] = ToJson(code.hamming_loss);
  return json;
}

Json ToJson(const ModelReport& model, const RelevanceReport& report) {
  Json json = {{"name", model.name},
               {"baseline", model.baseline},
               {"feature", model.feature},
               {"licence", model.licence},
               {"dimension", model.dimension}};
  Put(json, model.plain);
  json["latency_ms"] = model.latency ? ToJson(*model.latency) : Json();
  json["centred"] = ToJson(model.centred);
  json["binary"] = ToJson(model.binary());
  json["binary"]["latency_ms"] = model.binary_latency ? ToJson(*model.binary_latency) : Json();
  for (const CodeReport& code : model.codes) json["codes"].push_back(ToJson(code));
  json["images_per_second"] = model.images_per_second > 0 ? Json(model.images_per_second) : Json();
  json["classes"] = Json::array();
  for (const ClassReport& one : model.classes) {
    json["classes"].push_back(
        {{"label", one.label},
         {"images", one.pictures},
         {"queries", one.queries},
         {"p_at_1", one.p_at_1},
         {"p_at_10", one.p_at_10},
         {"map", one.map},
         {"binary", {{"p_at_1", one.binary_p_at_1}, {"p_at_10", one.binary_p_at_10}, {"map", one.binary_map}}}});
  }
  const size_t labels = report.labels.size();
  json["confusion"] = Json::array();
  for (size_t i = 0; i < labels; ++i) {
    const auto begin = model.confusion.begin() + static_cast<std::ptrdiff_t>(i * labels);
    json["confusion"].push_back(std::vector<uint32_t>(begin, begin + static_cast<std::ptrdiff_t>(labels)));
  }
  return json;
}

Json ToJson(const ConformityPoint& point) {
  return {{"threshold", point.threshold},
          {"answered", point.answered},
          {"p_at_5", point.p_at_5},
          {"results", point.results},
          {"visual_p_at_5", point.visual_p_at_5}};
}

Json ToJson(const ConformityReport& report) {
  Json curve = Json::array();
  for (const ConformityPoint& point : report.curve) curve.push_back(ToJson(point));
  return {{"queries", report.queries},
          {"visual_p_at_5", report.visual_p_at_5},
          {"topic_p_at_5", report.topic_p_at_5},
          {"own_words_p_at_5", report.words_p_at_5},
          {"at_60_percent", ToJson(report.at_share)},
          {"other_half", ToJson(report.other_half)},
          {"other_half_visual_p_at_5", report.other_half_visual},
          {"curve", std::move(curve)}};
}

}  // namespace

std::string RelevanceReportToJson(const RelevanceReport& report) {
  Json json = {{"data", report.data},
               {"field", report.field.empty() ? Json() : Json(report.field)},
               {"images", report.pictures},
               {"queries", report.queries},
               {"without_relevant", report.without_relevant},
               {"duplicates", report.duplicates},
               {"unlabelled", report.unlabelled},
               {"unreadable", Json::array()},
               {"labels", report.labels},
               {"refined", report.refined},
               {"confidence", report.confidence},
               {"resamples", report.resamples},
               {"latency_queries", report.latency_queries},
               {"threads", report.threads},
               {"models", Json::array()},
               {"results", Json::array()}};
  for (const LabelledSet::Problem& problem : report.unreadable) {
    json["unreadable"].push_back({{"source", problem.source}, {"reason", problem.reason}});
  }
  for (const ModelReport& model : report.models) json["models"].push_back(ToJson(model, report));
  if (report.conformity != nullptr) json["conformity"] = ToJson(*report.conformity);
  for (const BarResult& result : report.results) {
    json["results"].push_back({{"name", result.name},
                               {"value", result.value},
                               {"unit", result.unit},
                               {"bar", result.bar ? Json(*result.bar) : Json()},
                               {"better", result.higher_is_better ? "higher" : "lower"},
                               {"ok", result.ok()}});
  }
  // A path need not be UTF-8: what is not is replaced.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace likeness
