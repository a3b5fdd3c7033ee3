#include "pipeline/config.h"

#include <toml++/toml.h>

#include <algorithm>
#include <functional>
#include <map>
#include <sstream>

#include "base/file.h"
#include "feature/registry.h"
#include "pipeline/engines.h"

namespace likeness {
namespace {

using Setter = std::function<absl::Status(const toml::node&)>;

// What stands in the file, without what may be a secret in an address.
std::string Shown(const std::string& key, const toml::node& node) {
  std::ostringstream text;
  node.visit([&](const auto& value) { text << value; });
  const bool address = key.ends_with(".url") || key.ends_with(".endpoint");
  if (!address) return text.str();
  if (const auto value = node.value<std::string>(); value && node.is_string()) {
    return "'" + WithoutSecrets(*value) + "'";
  }
  return "no text";
}

// A whole number between `least` and `most`.
template <typename T>
Setter Whole(T& target, int64_t least, int64_t most) {
  return [&target, least, most](const toml::node& node) -> absl::Status {
    const auto value = node.value<int64_t>();
    if (!node.is_integer() || !value || *value < least || *value > most) {
      return absl::InvalidArgumentError("must be a whole number from " + std::to_string(least) + " to " +
                                        std::to_string(most));
    }
    target = static_cast<T>(*value);
    return absl::OkStatus();
  };
}

Setter Whole(std::optional<size_t>& target, int64_t least, int64_t most) {
  return [&target, least, most](const toml::node& node) -> absl::Status {
    size_t value = 0;
    LIKENESS_RETURN_IF_ERROR(Whole(value, least, most)(node));
    target = value;
    return absl::OkStatus();
  };
}

Setter Names(std::vector<std::string>& target) {
  return [&target](const toml::node& node) -> absl::Status {
    const toml::array* list = node.as_array();
    std::vector<std::string> names;
    if (list != nullptr) {
      for (const toml::node& item : *list) {
        if (const auto name = item.value<std::string>(); name && item.is_string()) names.push_back(*name);
      }
    }
    if (list == nullptr || names.empty() || names.size() != list->size()) {
      return absl::InvalidArgumentError("must be a list of names, like [\"efficientnet_lite1\"]");
    }
    target = std::move(names);
    return absl::OkStatus();
  };
}

// Names of feature types that can be computed, none twice.
Setter FeatureNames(std::vector<std::string>& target) {
  return [&target](const toml::node& node) -> absl::Status {
    std::string known;
    for (const FeatureType& type : FeatureTypes()) {
      if (type.available) known += (known.empty() ? "\"" : ", \"") + std::string(type.name) + "\"";
    }
    const auto refuse = [&] { return absl::InvalidArgumentError("must be a list of different ones of " + known); };
    std::vector<std::string> names;
    if (!Names(names)(node).ok()) return refuse();
    for (const std::string& name : names) {
      const auto types = FeatureTypes();
      const auto type = std::ranges::find(types, name, &FeatureType::name);
      if (type == types.end() || !type->available || std::ranges::count(names, name) > 1) return refuse();
    }
    target = std::move(names);
    return absl::OkStatus();
  };
}

Setter Text(std::string& target) {
  return [&target](const toml::node& node) -> absl::Status {
    const auto value = node.value<std::string>();
    if (!node.is_string() || !value || value->empty()) return absl::InvalidArgumentError("must be text in quotes");
    target = *value;
    return absl::OkStatus();
  };
}

// An address that begins with one of `schemes`.
Setter Address(std::string& target, std::vector<std::string> schemes) {
  return [&target, schemes = std::move(schemes)](const toml::node& node) -> absl::Status {
    std::string known;
    for (const std::string& scheme : schemes) known += (known.empty() ? "" : " or ") + scheme + "...";
    std::string value;
    const absl::Status read = Text(value)(node);
    if (!read.ok() || std::ranges::none_of(schemes, [&](const auto& scheme) { return value.starts_with(scheme); })) {
      return absl::InvalidArgumentError("must be an address like " + known);
    }
    target = std::move(value);
    return absl::OkStatus();
  };
}

// Addresses of leaves.
Setter Leaves(std::vector<std::string>& target) {
  return [&target](const toml::node& node) -> absl::Status {
    const auto refuse = [] {
      return absl::InvalidArgumentError("must be a list of addresses, like [\"10.0.0.7:8485\"]");
    };
    std::vector<std::string> leaves;
    if (!Names(leaves)(node).ok()) return refuse();
    for (const std::string& leaf : leaves) {
      const size_t colon = leaf.rfind(':');
      if (colon == 0 || colon == std::string::npos || colon + 1 == leaf.size() || leaf.size() > 300 ||
          leaf.find_first_not_of("0123456789", colon + 1) != std::string::npos ||
          leaf.find_first_of(" /@\"\\") != std::string::npos) {
        return refuse();
      }
    }
    target = std::move(leaves);
    return absl::OkStatus();
  };
}

// One of some words.
Setter OneOf(std::string& target, std::vector<std::string> words) {
  return [&target, words = std::move(words)](const toml::node& node) -> absl::Status {
    std::string word;
    if (!Text(word)(node).ok() || std::ranges::find(words, word) == words.end()) {
      std::string known;
      for (const std::string& one : words) known += (known.empty() ? "\"" : " or \"") + one + "\"";
      return absl::InvalidArgumentError("must be " + known);
    }
    target = word;
    return absl::OkStatus();
  };
}

// One of some names.
template <typename T, typename Parse>
Setter Named(T& target, Parse parse) {
  return [&target, parse](const toml::node& node) -> absl::Status {
    std::string name;
    LIKENESS_RETURN_IF_ERROR(Text(name)(node));
    LIKENESS_ASSIGN_OR_RETURN(target, parse(name));
    return absl::OkStatus();
  };
}

template <typename Target>  // bool, or an optional one
Setter YesOrNo(Target& target) {
  return [&target](const toml::node& node) -> absl::Status {
    const auto value = node.value<bool>();
    if (!node.is_boolean() || !value) return absl::InvalidArgumentError("must be true or false");
    target = *value;
    return absl::OkStatus();
  };
}

Setter Number(double& target, double least, double most) {
  return [&target, least, most](const toml::node& node) -> absl::Status {
    const auto value = node.value<double>();
    if (!node.is_number() || !value || !(*value >= least && *value <= most)) {
      return absl::InvalidArgumentError("must be a number from " + std::to_string(least) + " to " +
                                        std::to_string(most));
    }
    target = *value;
    return absl::OkStatus();
  };
}

// One weight of the linear ranking model; with the first that is given the others are 0.
Setter Weight(std::optional<SignalWeights>& target, Signal signal) {
  return [&target, signal](const toml::node& node) -> absl::Status {
    double weight = 0;
    LIKENESS_RETURN_IF_ERROR(Number(weight, -1000, 1000)(node));
    if (!target) target.emplace().values = {};
    (*target)[signal] = static_cast<float>(weight);
    return absl::OkStatus();
  };
}

}  // namespace

absl::StatusOr<Config> ParseConfig(std::string_view text) {
  Config config;
  std::map<std::string, Setter> setters = {
      {"threads", Whole(config.threads, 0, 1024)},
      {"image.max_pixels", Whole(config.image.max_pixels, 1, int64_t{1} << 40)},
      {"image.max_bytes", Whole(config.image.max_bytes, 1, int64_t{1} << 40)},
      {"image.max_aspect", Number(config.image.max_aspect, 1, 1e6)},
      {"deep.models", Names(config.models)},
      {"deep.precision",
       Named<std::optional<Precision>>(config.precision, [](const std::string& name) { return ParsePrecision(name); })},
      {"deep.executor", Named<Executor>(config.executor, [](const std::string& name) { return ParseExecutor(name); })},
      {"local.vocabulary", Text(config.vocabulary)},
      {"tokens.build", YesOrNo(config.tokens)},
      {"tokens.cache_bytes", Whole(config.token_cache_bytes, 0, int64_t{1} << 50)},
      {"deep.code_bits", Whole(config.code_bits, 0, 4096)},
      {"fingerprint.shard_images", Whole(config.shard_images, 1, 200'000)},
      {"search.effort", Number(config.search_effort, 0.1, 100)},
      {"fingerprint.chunk_seconds", Number(config.chunk_seconds, 0.1, 86'400)},
      {"fingerprint.chunk_images", Whole(config.chunk_images, 1, 200'000)},
      {"fingerprint.part_images", Whole(config.part_images, 1, 200'000)},
      {"objects.url", Address(config.objects.url, {"s3://"})},
      {"objects.endpoint", Address(config.objects.endpoint, {"http://", "https://"})},
      {"objects.region", Text(config.objects.region)},
      {"objects.credentials_file", Text(config.objects.credentials_file)},
      {"objects.ca_file", Text(config.objects.ca_file)},
      {"objects.cache_bytes", Whole(config.objects.cache_bytes, 1 << 20, int64_t{1} << 50)},
      {"objects.single_writer", YesOrNo(config.objects.single_writer)},
      {"catalog.url", Address(config.catalog.url, {"postgresql://", "postgres://"})},
      {"catalog.retry_seconds", Number(config.catalog.retry_seconds, 0, 86'400)},
      {"queue.url", Address(config.queue.url, {"nats://", "tls://", "postgresql://", "postgres://"})},
      {"queue.name", Text(config.queue.name)},
      {"queue.replicas", Whole(config.queue.replicas, 1, 5)},
      {"queue.user", Text(config.queue.user)},
      {"queue.password_file", Text(config.queue.password_file)},
      {"queue.token_file", Text(config.queue.token_file)},
      {"queue.credentials_file", Text(config.queue.credentials_file)},
      {"queue.ca_file", Text(config.queue.ca_file)},
      {"queue.lease_seconds", Number(config.queue.lease_seconds, 0.1, 86'400)},
      {"cluster.leaves", Leaves(config.cluster.leaves)},
      {"cluster.discovery", OneOf(config.cluster.discovery, {"list", "nats"})},
      {"cluster.token_file", Text(config.cluster.token_file)},
      {"cluster.patience_seconds", Number(config.cluster.patience_seconds, 0.001, 3600)},
      {"cluster.alive_seconds", Number(config.cluster.alive_seconds, 0.5, 3600)},
      {"features.types", FeatureNames(config.features)},
      {"rank.floor", YesOrNo(config.rank.floor)},
  };
  for (size_t i = 0; i < kSignals; ++i) {
    setters.emplace("rank.weights." + std::string(kSignalNames[i]),
                    Weight(config.rank.weights, static_cast<Signal>(i)));
  }
  toml::table table;
  try {
    table = toml::parse(text);
  } catch (const toml::parse_error& error) {
    return absl::InvalidArgumentError("line " + std::to_string(error.source().begin.line) + ": " +
                                      std::string(error.description()));
  }
  const std::function<absl::Status(const toml::table&, const std::string&)> read =
      [&](const toml::table& section, const std::string& prefix) -> absl::Status {
    for (const auto& [name, node] : section) {
      const std::string key = prefix + std::string(name.str());
      if (const toml::table* inner = node.as_table(); inner != nullptr && (prefix.empty() || key == "rank.weights")) {
        LIKENESS_RETURN_IF_ERROR(read(*inner, key + "."));
        continue;
      }
      const auto setter = setters.find(key);
      if (setter == setters.end() && prefix == "rank.weights.") {
        std::string known;
        for (const std::string_view signal : kSignalNames) known += (known.empty() ? "" : ", ") + std::string(signal);
        return absl::InvalidArgumentError("unknown signal \"" + key + "\": the signals are " + known);
      }
      if (setter == setters.end()) {
        return absl::InvalidArgumentError("unknown key \"" + key + "\": remove it or correct its name");
      }
      LIKENESS_RETURN_IF_ERROR(Annotate(setter->second(node), "\"" + key + "\" is " + Shown(key, node)));
    }
    return absl::OkStatus();
  };
  LIKENESS_RETURN_IF_ERROR(read(table, ""));
  return config;
}

absl::StatusOr<Config> ReadConfig(const std::filesystem::path& path) {
  const absl::StatusOr<std::string> text = ReadFile(path, 1 << 20);
  if (absl::IsNotFound(text.status())) return Config();
  LIKENESS_RETURN_IF_ERROR(text.status());
  absl::StatusOr<Config> config = ParseConfig(*text);
  if (!config.ok()) return Annotate(config.status(), path.string());
  return config;
}

}  // namespace likeness
