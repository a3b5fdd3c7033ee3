#include "store/release.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "store/object_keys.h"

namespace likeness {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr char kReleaseFormat[] = "likeness.release";
constexpr char kCurrentFormat[] = "likeness.current";
constexpr int kVersion = 1;
constexpr size_t kMaxText = 64 << 20;

// The first promise of release.h that `release` breaks, or nothing.
std::optional<std::string> Fault(const Release& release) {
  if (!IsReleaseName(release.name)) return "its name is not a release name";
  const auto not_ascending = [](const auto& a, const auto& b) { return !(a < b); };
  for (const Release::Feature& feature : release.features) {
    if (FeatureKey::Parse(feature.key.ToString()) != feature.key) return "a feature has no proper type and version";
  }
  if (std::ranges::adjacent_find(release.features, not_ascending, &Release::Feature::key) != release.features.end()) {
    return "its features are not sorted and distinct";
  }
  for (const Release::Shard& shard : release.shards) {
    const auto digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
    if (!std::ranges::all_of(shard.metadata, digit)) return "the metadata of a shard has no proper digest";
  }
  if (std::ranges::adjacent_find(release.shards, not_ascending, &Release::Shard::id) != release.shards.end()) {
    return "its shards are not sorted and distinct";
  }
  return std::nullopt;
}

// Reads fields of one object and remembers the first that is missing or of another type.
class Fields {
 public:
  Fields(const json& object, std::string& fault) : object_(object), fault_(fault) {}

  std::string Text(const char* name) {
    const json* value = Find(name);
    if (value == nullptr || !value->is_string()) return Missing<std::string>(name, "a text");
    return value->get<std::string>();
  }
  uint64_t Number(const char* name) {
    const json* value = Find(name);
    if (value == nullptr || !value->is_number_unsigned()) return Missing<uint64_t>(name, "a number from 0");
    return value->get<uint64_t>();
  }
  std::vector<json> Objects(const char* name) {
    const json* value = Find(name);
    if (value == nullptr || !value->is_array() ||
        !std::ranges::all_of(*value, [](const json& item) { return item.is_object(); })) {
      return Missing<std::vector<json>>(name, "a list of objects");
    }
    return value->get<std::vector<json>>();
  }

 private:
  const json* Find(const char* name) const {
    const auto found = object_.find(name);
    return found == object_.end() ? nullptr : &*found;
  }
  template <typename T>
  T Missing(const char* name, const char* what) {
    if (fault_.empty()) fault_ = std::string("'") + name + "' is not " + what;
    return T();
  }
  const json& object_;
  std::string& fault_;
};

absl::StatusOr<json> ParseObject(std::string_view text, std::string_view format) {
  if (text.size() > kMaxText) return absl::DataLossError("the JSON is larger than 64 MiB");
  json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return absl::DataLossError("not a JSON object");
  std::string fault;
  Fields fields(object, fault);
  if (fields.Text("format") != format) return absl::DataLossError("'format' is not \"" + std::string(format) + "\"");
  const uint64_t version = fields.Number("format_version");
  if (!fault.empty() || version == 0) return absl::DataLossError("'format_version' is not a number from 1");
  if (version > kVersion) {
    return absl::UnimplementedError("format version " + std::to_string(version) +
                                    " is newer than this program, which reads up to " + std::to_string(kVersion));
  }
  return object;
}

}  // namespace

absl::StatusOr<std::string> FormatRelease(const Release& release) {
  if (const auto fault = Fault(release)) return absl::InvalidArgumentError("a release cannot be written: " + *fault);
  ordered_json object = {
      {"format", kReleaseFormat},   {"format_version", kVersion},        {"name", release.name},
      {"created", release.created}, {"features", ordered_json::array()}, {"shards", ordered_json::array()}};
  for (const Release::Feature& feature : release.features) {
    object["features"].push_back(
        {{"type", feature.key.type}, {"version", feature.key.version}, {"binarizer", feature.binarizer}});
  }
  for (const Release::Shard& shard : release.shards) {
    object["shards"].push_back(
        {{"epoch", shard.id.epoch.ToString()}, {"shard", shard.id.shard}, {"images", shard.images}});
    if (!shard.metadata.empty()) object["shards"].back()["metadata"] = shard.metadata;
  }
  return object.dump(1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

absl::StatusOr<Release> ParseRelease(std::string_view text) {
  LIKENESS_ASSIGN_OR_RETURN(const json object, ParseObject(text, kReleaseFormat));
  Release release;
  std::string fault;
  Fields fields(object, fault);
  release.name = fields.Text("name");
  release.created = fields.Text("created");
  for (const json& item : fields.Objects("features")) {
    Fields feature(item, fault);
    FeatureKey key{feature.Text("type"), feature.Text("version")};
    release.features.push_back({std::move(key), feature.Text("binarizer")});
  }
  for (const json& item : fields.Objects("shards")) {
    Fields shard(item, fault);
    const std::optional<Epoch> epoch = Epoch::Parse(shard.Text("epoch"));
    const uint64_t number = shard.Number("shard");
    if (fault.empty() && (!epoch || number > UINT32_MAX)) fault = "a shard has no proper epoch and number";
    release.shards.push_back({{epoch.value_or(Epoch()), static_cast<uint32_t>(number)}, shard.Number("images")});
    if (item.contains("metadata")) release.shards.back().metadata = shard.Text("metadata");
  }
  if (fault.empty()) fault = Fault(release).value_or("");
  if (!fault.empty()) return absl::DataLossError("not a release: " + fault);
  return release;
}

absl::Status WriteRelease(ObjectStore& store, const Release& release) {
  LIKENESS_ASSIGN_OR_RETURN(const std::string text, FormatRelease(release));
  const std::string key = ReleaseKey(release.name);
  absl::Status put = store.Put(key, AsBytes(text), {.if_absent = true});
  if (!absl::IsAlreadyExists(put)) return put;
  LIKENESS_ASSIGN_OR_RETURN(const Blob there, store.Get(key));
  return AsText(there.bytes()) == text ? absl::OkStatus() : put;
}

absl::StatusOr<Release> ReadRelease(ObjectStore& store, std::string_view name) {
  if (!IsReleaseName(name)) return absl::NotFoundError("there is no release of that name");
  LIKENESS_ASSIGN_OR_RETURN(const Blob blob, store.Get(ReleaseKey(name)));
  auto release = ParseRelease(AsText(blob.bytes()));
  if (!release.ok()) return Annotate(release.status(), ReleaseKey(name));
  if (release->name != name) return absl::DataLossError(ReleaseKey(name) + ": names itself " + release->name);
  return release;
}

std::string FormatCurrent(const CurrentRelease& current) {
  ordered_json object = {{"format", kCurrentFormat}, {"format_version", kVersion}, {"release", current.name}};
  if (!current.previous.empty()) object["previous"] = current.previous;
  if (!current.removing.empty()) object["removing"] = current.removing;
  return object.dump() + "\n";
}

absl::StatusOr<CurrentRelease> ParseCurrent(std::string_view text) {
  LIKENESS_ASSIGN_OR_RETURN(const json object, ParseObject(text, kCurrentFormat));
  std::string fault;
  Fields fields(object, fault);
  CurrentRelease current;
  current.name = fields.Text("release");
  if (!IsReleaseName(current.name)) return absl::DataLossError("'release' is not a release name");
  if (object.contains("previous")) {
    current.previous = fields.Text("previous");
    if (!IsReleaseName(current.previous)) return absl::DataLossError("'previous' is not a release name");
  }
  if (const auto list = object.find("removing"); list != object.end()) {
    if (!list->is_array()) return absl::DataLossError("'removing' is not a list");
    for (const json& name : *list) {
      if (!name.is_string() || !IsReleaseName(name.get<std::string>())) {
        return absl::DataLossError("'removing' holds something that is not a release name");
      }
      current.removing.push_back(name.get<std::string>());
    }
  }
  return current;
}

absl::StatusOr<std::optional<CurrentRelease>> ReadCurrent(ObjectStore& store) {
  // The etag first: should the object change in between, the next switch fails, as it must.
  LIKENESS_ASSIGN_OR_RETURN(const std::optional<ObjectInfo> info, store.Head(kCurrentKey));
  if (!info) return std::nullopt;
  LIKENESS_ASSIGN_OR_RETURN(const Blob blob, store.Get(kCurrentKey));
  absl::StatusOr<CurrentRelease> current = ParseCurrent(AsText(blob.bytes()));
  if (!current.ok()) return Annotate(current.status(), kCurrentKey);
  current->etag = info->etag;
  return *std::move(current);
}

absl::Status SwitchCurrent(ObjectStore& store, std::string_view name, const std::optional<CurrentRelease>& from) {
  CurrentRelease next;
  next.name = name;
  PutOptions options;
  if (from) {
    if (std::ranges::find(from->removing, name) != from->removing.end()) {
      return absl::FailedPreconditionError("release " + next.name +
                                           " is being removed: run `likeness release gc` to its end first");
    }
    next.previous = from->name == name ? from->previous : from->name;
    next.removing = from->removing;
    options.if_match = from->etag;
  } else {
    options.if_absent = true;
  }
  LIKENESS_RETURN_IF_ERROR(ReadRelease(store, name).status());
  const absl::Status put = store.Put(kCurrentKey, AsBytes(FormatCurrent(next)), options);
  if (absl::IsAlreadyExists(put) || absl::IsFailedPrecondition(put)) {
    return absl::FailedPreconditionError("another release became current meanwhile: look and try again");
  }
  return put;
}

absl::Status MarkRemoving(ObjectStore& store, const CurrentRelease& from, const std::vector<std::string>& removing) {
  if (from.removing == removing) return absl::OkStatus();
  CurrentRelease next = from;
  next.removing = removing;
  const absl::Status put = store.Put(kCurrentKey, AsBytes(FormatCurrent(next)), {.if_match = from.etag});
  if (absl::IsFailedPrecondition(put)) {
    return absl::FailedPreconditionError("another release became current meanwhile: look and try again");
  }
  return put;
}

}  // namespace likeness
