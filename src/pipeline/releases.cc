#include "pipeline/releases.h"

#include <algorithm>
#include <set>

#include "pipeline/materialise.h"
#include "store/object_keys.h"

namespace likeness {

absl::StatusOr<std::vector<ReleaseEntry>> ListReleases(Home& home) {
  LIKENESS_ASSIGN_OR_RETURN(const auto objects, ListAll(home.objects(), kReleasePrefix));
  LIKENESS_ASSIGN_OR_RETURN(const std::optional<CurrentRelease> current, ReadCurrent(home.objects()));
  std::vector<ReleaseEntry> entries;
  for (const ObjectInfo& object : objects) {
    const std::optional<ObjectKey> key = ObjectKey::Parse(object.key);
    if (!key || key->kind != ObjectKey::Kind::kRelease) continue;
    absl::StatusOr<Release> release = ReadRelease(home.objects(), key->release);
    if (absl::IsNotFound(release.status())) continue;  // removed meanwhile
    LIKENESS_RETURN_IF_ERROR(release.status());
    ReleaseEntry entry;
    entry.current = current && current->name == release->name;
    entry.previous = current && current->previous == release->name;
    entry.release = *std::move(release);
    entries.push_back(std::move(entry));
  }
  // Times as they are written sort as they pass.
  std::ranges::stable_sort(entries, std::ranges::greater(),
                           [](const ReleaseEntry& entry) -> const std::string& { return entry.release.created; });
  return entries;
}

absl::StatusOr<bool> SwitchRelease(Home& home, std::string_view name) {
  LIKENESS_ASSIGN_OR_RETURN(const std::optional<CurrentRelease> current, ReadCurrent(home.objects()));
  if (current && current->name == name) return false;
  absl::StatusOr<Release> release = ReadRelease(home.objects(), name);
  if (absl::IsNotFound(release.status())) {
    return absl::NotFoundError("there is no release " + std::string(name) +
                               ": `likeness release list` shows those that there are");
  }
  LIKENESS_RETURN_IF_ERROR(release.status());
  const std::string generation = GenerationOf(release->features);
  LIKENESS_ASSIGN_OR_RETURN(const auto segments, ListAll(home.objects(), "indexes/" + generation + "/"));
  std::set<std::string> there;
  for (const ObjectInfo& object : segments) there.insert(object.key);
  for (const Release::Shard& shard : release->shards) {
    if (there.contains(SegmentKey(generation, shard.id))) continue;
    return absl::FailedPreconditionError("release " + release->name + " lacks " + SegmentKey(generation, shard.id) +
                                         ": create it anew with `likeness release create`");
  }
  const absl::Status switched = SwitchCurrent(home.objects(), name, current);
  if (absl::IsFailedPrecondition(switched)) {  // Somebody who builds the same may have been quicker.
    LIKENESS_ASSIGN_OR_RETURN(const std::optional<CurrentRelease> now, ReadCurrent(home.objects()));
    if (now && now->name == name) return false;
  }
  LIKENESS_RETURN_IF_ERROR(switched);
  return true;
}

absl::StatusOr<std::string> RollBack(Home& home) {
  LIKENESS_ASSIGN_OR_RETURN(const std::optional<CurrentRelease> current, ReadCurrent(home.objects()));
  if (!current || current->previous.empty()) {
    return absl::FailedPreconditionError(
        "no release is known to have served before this one: `likeness release switch NAME` takes any of `likeness "
        "release list`");
  }
  LIKENESS_RETURN_IF_ERROR(SwitchRelease(home, current->previous).status());
  return current->previous;
}

}  // namespace likeness
