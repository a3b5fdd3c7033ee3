// Which feature versions and shards make an index, and which release serves. Format: docs/formats/object-keys.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "object/object_store.h"
#include "types/epoch.h"
#include "types/feature_key.h"

namespace likeness {

struct Release {
  struct Feature {
    FeatureKey key;
    std::string binarizer;  // digest of the binarizer that made the codes, or empty where the feature has none
    friend bool operator==(const Feature&, const Feature&) = default;
  };
  struct Shard {
    ShardId id;
    uint64_t images = 0;        // in its segment
    std::string metadata = {};  // digest of what people wrote about them; empty: that is not known
    friend bool operator==(const Shard&, const Shard&) = default;
  };
  std::string name;               // IsReleaseName
  std::string created;            // ISO 8601, UTC
  std::vector<Feature> features;  // sorted by key, distinct
  std::vector<Shard> shards;      // sorted by id, distinct

  uint64_t images() const {
    uint64_t sum = 0;
    for (const Shard& shard : shards) sum += shard.images;
    return sum;
  }
  friend bool operator==(const Release&, const Release&) = default;
};

// JSON, the same text for the same release. Errors of parsing: DataLoss with the reason; Unimplemented (newer format).
absl::StatusOr<std::string> FormatRelease(const Release& release);  // InvalidArgument when a promise above is broken
absl::StatusOr<Release> ParseRelease(std::string_view text);

// Puts `releases/NAME`. Errors: AlreadyExists unless the same bytes are there already.
absl::Status WriteRelease(ObjectStore& store, const Release& release);
// Errors: NotFound, DataLoss.
absl::StatusOr<Release> ReadRelease(ObjectStore& store, std::string_view name);

// What CURRENT says.
struct CurrentRelease {
  std::string name;                   // of the release that serves
  std::string previous;               // that served before it; empty when there was none, or that is not known
  std::vector<std::string> removing;  // releases that are being removed: none of them can become current
  std::string etag;                   // of CURRENT, for the next switch
};
// The text of CURRENT, without the etag. Errors: DataLoss.
std::string FormatCurrent(const CurrentRelease& current);
absl::StatusOr<CurrentRelease> ParseCurrent(std::string_view text);
// Nothing before the first release. Errors: DataLoss.
absl::StatusOr<std::optional<CurrentRelease>> ReadCurrent(ObjectStore& store);
// One conditional put: CURRENT names `name` from now on if it still is what `from` says (nothing: if there is none),
// and what served until then is the previous one. Errors: FailedPrecondition when another has switched meanwhile, or
// the release is being removed; NotFound when there is no such release.
absl::Status SwitchCurrent(ObjectStore& store, std::string_view name, const std::optional<CurrentRelease>& from);
// One conditional put: CURRENT says `removing`, and is otherwise as `from` says. From then on no switch to one of these
// succeeds, also none that has begun before. Errors: FailedPrecondition when another has switched meanwhile.
absl::Status MarkRemoving(ObjectStore& store, const CurrentRelease& from, const std::vector<std::string>& removing);

}  // namespace likeness
