// likeness features: the kinds of features that there are, with what they cost here.
#include <algorithm>
#include <cstdio>
#include <optional>
#include <vector>

#include "cli/command.h"
#include "feature/registry.h"
#include "pipeline/features.h"
#include "store/feature_shard.h"
#include "store/object_keys.h"

namespace likeness {
namespace {

using Json = nlohmann::ordered_json;

// What a feature has cost in this home so far.
struct Cost {
  std::optional<double> bytes;  // an image, over at most kShardsLookedAt sealed shards
  std::optional<double> rate;   // images a second of one core
};
constexpr size_t kShardsLookedAt = 8;

absl::StatusOr<Cost> CostOf(Home& home, const FeatureKey& key, const std::vector<FeatureRate>& rates) {
  Cost cost;
  for (const FeatureRate& rate : rates) {
    if (rate.feature == key && rate.seconds > 0) cost.rate = static_cast<double>(rate.images) / rate.seconds;
  }
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<ShardRecord> shards, home.catalog().Shards());
  uint64_t bytes = 0, images = 0;
  size_t looked = 0;
  for (auto shard = shards.rbegin(); shard != shards.rend() && looked < kShardsLookedAt; ++shard) {
    LIKENESS_ASSIGN_OR_RETURN(const auto sealed, home.objects().Head(FeatureShardKey(key, shard->id)));
    if (!sealed) continue;
    bytes += sealed->size;
    images += shard->images;
    ++looked;
  }
  if (images > 0) cost.bytes = static_cast<double>(bytes) / static_cast<double>(images);
  return cost;
}

// The keys of a type in this home; empty, with the reason, where it is not to be had.
absl::StatusOr<std::vector<FeatureKey>> KeysOfType(Home& home, const std::string& type) {
  const std::vector<std::string> configured = home.config().features;
  home.mutable_config().features = {type};
  absl::StatusOr<std::vector<FeatureKey>> keys = CurrentFeatures(home);
  home.mutable_config().features = configured;
  return keys;
}

Json Row(const FeatureType& type) {
  return {{"type", std::string(type.name)},
          {"feature", nullptr},
          {"computes", std::string(type.computes)},
          {"kept_as", std::string(type.kept_as)},
          {"source", std::string(type.source)},
          {"configured", false},
          {"state", "ready"},
          {"bytes_an_image", nullptr},
          {"images_per_second", nullptr}};
}

absl::StatusOr<std::vector<Json>> RowsOf(Home& home, const FeatureType& type, const std::vector<FeatureRate>& rates) {
  Json row = Row(type);
  if (!type.available) {
    row["state"] = "not yet";
    return std::vector{row};
  }
  const std::string name(type.name);
  row["configured"] = std::ranges::find(home.config().features, name) != home.config().features.end();
  const auto keys = KeysOfType(home, name);
  if (!keys.ok()) {
    row["state"] = MessageOf(keys.status());
    return std::vector{row};
  }
  std::vector<Json> rows;
  for (const FeatureKey& key : *keys) {
    LIKENESS_ASSIGN_OR_RETURN(const Cost cost, CostOf(home, key, rates));
    Json one = row;
    one["feature"] = key.ToString();
    if (cost.bytes) one["bytes_an_image"] = *cost.bytes;
    if (cost.rate) one["images_per_second"] = *cost.rate;
    rows.push_back(std::move(one));
  }
  if (rows.empty()) {
    row["state"] = "no model is configured";
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string Text(const Json& rows) {
  std::string text;
  const auto measured = [](const Json& value, const char* format, const char* unit) {
    if (value.is_null()) return std::string("not measured yet");
    char line[64];
    std::snprintf(line, sizeof(line), format, value.get<double>());
    return line + std::string(unit);
  };
  for (const Json& row : rows) {
    const auto string = [&row](const char* name) { return row[name].get<std::string>(); };
    text += row["feature"].is_null() ? string("type") : string("feature");
    if (string("state") != "ready") text += ": " + string("state");
    if (string("state") == "ready" && !row["configured"].get<bool>()) text += " (not computed here)";
    text += "\n  computes  " + string("computes") + "\n  kept as   " + string("kept_as") + "\n";
    if (!row["feature"].is_null()) {
      text += "  bytes     " + measured(row["bytes_an_image"], "%.0f", " an image") + "\n";
      text += "  speed     " + measured(row["images_per_second"], "%.1f", " images a second on one core") + "\n";
    }
    text += "  source    " + string("source") + "\n";
  }
  return text;
}

absl::StatusOr<CommandOutput> RunFeatures(const CommonFlags& common) {
  LIKENESS_ASSIGN_OR_RETURN(const auto home, Home::Open(common.home, /*create=*/false));
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<FeatureRate> rates, home->catalog().Rates());
  Json rows = Json::array();
  for (const FeatureType& type : FeatureTypes()) {
    LIKENESS_ASSIGN_OR_RETURN(const std::vector<Json> some, RowsOf(*home, type, rates));
    for (const Json& row : some) rows.push_back(row);
  }
  const std::string text = Text(rows);
  return CommandOutput{{{"features", std::move(rows)}}, text};
}

}  // namespace

void AddFeaturesCommand(Program& program) {
  program.Add("features", "List the kinds of features: what they compute, how they are kept, what they cost",
              [&program] { return RunFeatures(program.flags); });
}

}  // namespace likeness
