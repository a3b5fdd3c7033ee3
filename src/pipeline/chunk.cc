#include "pipeline/chunk.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/bytes.h"

namespace likeness {

Task TaskOf(const Chunk& chunk) {
  nlohmann::ordered_json features = nlohmann::ordered_json::array();
  std::string names;
  for (const FeatureKey& key : chunk.features) {
    features.push_back(key.ToString());
    names += key.ToString() + "\n";
  }
  const nlohmann::ordered_json payload = {
      {"shard", chunk.shard.ToString()}, {"begin", chunk.begin}, {"end", chunk.end}, {"features", features}};
  return {Sha256Hex(AsBytes(names)).substr(0, 12) + "/" + chunk.shard.ToString() + "/" + std::to_string(chunk.begin) +
              "-" + std::to_string(chunk.end),
          payload.dump()};
}

absl::StatusOr<Chunk> ChunkOf(const Task& task) {
  const auto refuse = [&] { return absl::DataLossError("the queue holds a task that is no chunk: " + task.id); };
  const nlohmann::json json = nlohmann::json::parse(task.payload, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("features") || !json["features"].is_array()) return refuse();
  const auto text = [](const nlohmann::json& value) { return value.is_string() ? value.get<std::string>() : ""; };
  const std::optional<ShardId> shard = ShardId::Parse(text(json.value("shard", nlohmann::json())));
  const nlohmann::json begin = json.value("begin", nlohmann::json()), end = json.value("end", nlohmann::json());
  if (!shard || !begin.is_number_unsigned() || !end.is_number_unsigned()) return refuse();
  Chunk chunk{*shard, begin.get<uint64_t>(), end.get<uint64_t>(), {}};
  for (const nlohmann::json& name : json["features"]) {
    const std::optional<FeatureKey> key = FeatureKey::Parse(text(name));
    if (!key) return refuse();
    chunk.features.push_back(*key);
  }
  if (chunk.begin >= chunk.end || chunk.features.empty()) return refuse();
  return chunk;
}

std::vector<Chunk> Halves(const Chunk& chunk) {
  std::vector<Chunk> parts;
  if (chunk.images() > 1) {
    const uint64_t middle = chunk.begin + chunk.images() / 2;
    parts = {{chunk.shard, chunk.begin, middle, chunk.features}, {chunk.shard, middle, chunk.end, chunk.features}};
  } else if (chunk.features.size() > 1) {
    for (const FeatureKey& key : chunk.features) parts.push_back({chunk.shard, chunk.begin, chunk.end, {key}});
  }
  return parts;
}

}  // namespace likeness
