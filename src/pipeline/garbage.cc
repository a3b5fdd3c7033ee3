#include "pipeline/garbage.h"

#include <algorithm>
#include <ctime>
#include <map>
#include <set>

#include "pipeline/binarizers.h"
#include "pipeline/features.h"
#include "pipeline/materialise.h"
#include "pipeline/releases.h"
#include "store/feature_shard.h"
#include "store/object_keys.h"

namespace likeness {
namespace {

constexpr size_t kSignaturesAtOnce = 1000;

// Nothing when the text is no time.
std::optional<std::chrono::system_clock::time_point> ParseIsoTime(const std::string& text) {
  std::tm parts{};
  const char* const end = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  if (end == nullptr || *end != '\0') return std::nullopt;
  return std::chrono::system_clock::from_time_t(::timegm(&parts));
}

// What must stay.
struct Needed {
  std::set<std::string> generations;
  std::set<std::string> binarizers;  // keys
  std::set<std::string> features;    // prefixes

  void Add(const std::vector<Release::Feature>& release) {
    generations.insert(GenerationOf(release));
    for (const Release::Feature& feature : release) {
      features.insert(FeaturePrefix(feature.key));
      if (!feature.binarizer.empty()) binarizers.insert(BinarizerKey(feature.key.type, feature.binarizer));
    }
  }
};

// The dimension of a feature's vectors; nothing before a shard is sealed.
absl::StatusOr<std::optional<uint64_t>> DimensionOf(Home& home, const FeatureKey& feature,
                                                    const std::vector<ObjectInfo>& objects) {
  const std::string prefix = FeaturePrefix(feature);
  for (const ObjectInfo& object : objects) {
    const std::optional<ObjectKey> key = ObjectKey::Parse(object.key);
    if (!key || key->kind != ObjectKey::Kind::kFeatureShard || key->feature != feature) continue;
    LIKENESS_ASSIGN_OR_RETURN(Blob blob, home.objects().Get(object.key));
    LIKENESS_ASSIGN_OR_RETURN(const FeatureShard shard, FeatureShard::Open(std::move(blob)));
    return shard.info().layout.dimension;
  }
  return std::nullopt;
}

// The feature versions of the configuration, and the generation that a build would make of them now.
absl::Status AddConfigured(Home& home, const std::vector<ObjectInfo>& objects, Needed& needed) {
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<FeatureKey> keys, CurrentFeatures(home));
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<BinarizerEntry> binarizers, ListBinarizers(home));
  std::vector<Release::Feature> features;
  bool complete = true;
  for (const FeatureKey& key : keys) {
    needed.features.insert(FeaturePrefix(key));
    Release::Feature feature{key, ""};
    if (key.type.starts_with("deep.")) {
      LIKENESS_ASSIGN_OR_RETURN(const std::optional<uint64_t> dimension, DimensionOf(home, key, objects));
      const BinarizerEntry* best = dimension ? BestBinarizer(binarizers, key, CodeBits(home, *dimension)) : nullptr;
      complete = complete && best != nullptr;
      if (best != nullptr) {
        feature.binarizer = best->digest;
        needed.binarizers.insert(BinarizerKey(key.type, best->digest));
      }
    }
    features.push_back(std::move(feature));
  }
  std::ranges::sort(features, {}, &Release::Feature::key);
  if (complete) needed.Add(features);
  return absl::OkStatus();
}

// Objects below `prefix` that no rule keeps.
void Judge(const std::vector<ObjectInfo>& objects, const Needed& needed, Garbage& garbage) {
  std::set<std::string> sealed;
  for (const ObjectInfo& object : objects) {
    const std::optional<ObjectKey> key = ObjectKey::Parse(object.key);
    if (key && key->kind == ObjectKey::Kind::kFeatureShard) sealed.insert(object.key);
  }
  for (const ObjectInfo& object : objects) {
    const std::optional<ObjectKey> key = ObjectKey::Parse(object.key);
    if (!key) continue;  // not ours
    bool goes = false;
    switch (key->kind) {
      case ObjectKey::Kind::kFingerprints:
      case ObjectKey::Kind::kSegment:
      case ObjectKey::Kind::kMetadata:
      case ObjectKey::Kind::kTokens:
        goes = !needed.generations.contains(key->release);
        break;
      case ObjectKey::Kind::kBinarizer:
        goes = !needed.binarizers.contains(object.key);
        break;
      case ObjectKey::Kind::kFeatureShard:
        goes = !needed.features.contains(FeaturePrefix(key->feature));
        break;
      case ObjectKey::Kind::kFeaturePart:
        goes = !needed.features.contains(FeaturePrefix(key->feature)) ||
               sealed.contains(FeatureShardKey(key->feature, key->shard));
        break;
      default:  // images, epoch lists, releases, CURRENT
        break;
    }
    if (!goes) continue;
    garbage.bytes += object.size;
    garbage.objects.push_back(object);
  }
}

// Thumbnails of images that the catalog does not know, or that no pin names.
absl::Status JudgeThumbnails(Home& home, Garbage& garbage) {
  std::map<Signature, std::vector<std::filesystem::path>> thumbnails;
  std::error_code error;
  std::filesystem::recursive_directory_iterator at(home.path() / "thumbnails", error);
  for (; !error && at != std::filesystem::recursive_directory_iterator(); at.increment(error)) {
    const std::string name = at->path().filename().string();
    const std::optional<Signature> signature = Signature::Parse(name.substr(0, name.find('_')));
    if (signature && name.ends_with(".jpg")) thumbnails[*signature].push_back(at->path());
  }
  if (thumbnails.empty()) return absl::OkStatus();
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<Signature> unpinned, home.catalog().Unpinned());
  std::vector<Signature> block;
  const auto judge = [&]() -> absl::Status {
    LIKENESS_ASSIGN_OR_RETURN(const std::vector<ImageRecord> known, home.catalog().Images(block));
    std::set<Signature> stay;
    for (const ImageRecord& image : known) {
      if (!std::ranges::binary_search(unpinned, image.signature)) stay.insert(image.signature);
    }
    for (const Signature& signature : block) {
      if (stay.contains(signature)) continue;
      for (const std::filesystem::path& path : thumbnails[signature]) {
        std::error_code gone;
        const uint64_t size = std::filesystem::file_size(path, gone);
        if (gone) continue;
        garbage.bytes += size;
        garbage.thumbnails.push_back(path);
      }
    }
    block.clear();
    return absl::OkStatus();
  };
  for (const auto& [signature, paths] : thumbnails) {
    block.push_back(signature);
    if (block.size() == kSignaturesAtOnce) LIKENESS_RETURN_IF_ERROR(judge());
  }
  return block.empty() ? absl::OkStatus() : judge();
}

// CURRENT with that list in it, whoever switches meanwhile.
absl::Status ForgetRemoved(Home& home, const std::vector<std::string>& gone) {
  for (int attempt = 0;; ++attempt) {
    LIKENESS_ASSIGN_OR_RETURN(const std::optional<CurrentRelease> current, ReadCurrent(home.objects()));
    if (!current) return absl::OkStatus();
    std::vector<std::string> left = current->removing;
    std::erase_if(left, [&](const std::string& name) { return std::ranges::find(gone, name) != gone.end(); });
    const absl::Status status = MarkRemoving(home.objects(), *current, left);
    if (!absl::IsFailedPrecondition(status) || attempt == 10) return status;
  }
}

}  // namespace

absl::StatusOr<Garbage> FindGarbage(Home& home, const KeepRules& rules, const Clock& clock) {
  // Objects first: what a build puts after this is not among them, and what it puts before is known by what it used,
  // which is read below.
  std::vector<ObjectInfo> objects;
  for (const char* prefix : {"binarizers/", "features/", "fingerprints/", "indexes/"}) {
    LIKENESS_ASSIGN_OR_RETURN(std::vector<ObjectInfo> some, ListAll(home.objects(), prefix));
    objects.insert(objects.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
  }
  Garbage garbage;
  Needed needed;
  LIKENESS_RETURN_IF_ERROR(AddConfigured(home, objects, needed));
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<ReleaseEntry> releases, ListReleases(home));
  LIKENESS_ASSIGN_OR_RETURN(const std::optional<CurrentRelease> current, ReadCurrent(home.objects()));
  const auto oldest = clock.Now() - std::chrono::duration_cast<std::chrono::system_clock::duration>(
                                        std::chrono::duration<double, std::ratio<86'400>>(rules.days));
  for (size_t i = 0; i < releases.size(); ++i) {
    const Release& release = releases[i].release;
    const auto created = ParseIsoTime(release.created);
    const bool named = current && (current->name == release.name || current->previous == release.name);
    const bool going = current && std::ranges::find(current->removing, release.name) != current->removing.end();
    // Before the first switch nobody knows which of them is to serve.
    const bool young = !created || *created >= oldest || i < rules.newest;
    if (named || !current || (young && !going)) {
      garbage.kept.push_back(release.name);
      needed.Add(release.features);
    } else {
      garbage.releases.push_back(release.name);
    }
  }
  Judge(objects, needed, garbage);
  LIKENESS_RETURN_IF_ERROR(JudgeThumbnails(home, garbage));
  return garbage;
}

absl::StatusOr<Garbage> RemoveGarbage(Home& home, const KeepRules& rules, const Garbage& garbage,
                                      const RunControl& control, const Clock& clock) {
  LIKENESS_ASSIGN_OR_RETURN(const std::optional<CurrentRelease> current, ReadCurrent(home.objects()));
  LIKENESS_ASSIGN_OR_RETURN(Garbage now, FindGarbage(home, rules, clock));
  const auto shown = [](const auto& list, auto member) {
    std::set<std::string> names;
    for (const auto& one : list) names.insert(std::invoke(member, one));
    return names;
  };
  const std::set<std::string> releases = shown(garbage.releases, std::identity());
  std::erase_if(now.releases, [&](const std::string& name) { return !releases.contains(name); });
  if (current) {
    std::vector<std::string> removing = current->removing;
    for (const std::string& name : now.releases) {
      if (std::ranges::find(removing, name) == removing.end()) removing.push_back(name);
    }
    // From here on none of them can become current, whoever has begun a switch before.
    LIKENESS_RETURN_IF_ERROR(MarkRemoving(home.objects(), *current, removing));
    for (const std::string& name : now.releases) LIKENESS_RETURN_IF_ERROR(home.objects().Delete(ReleaseKey(name)));
  }
  // Once more, for a release that was made meanwhile of files that seemed to belong to nobody.
  const std::vector<std::string> removed = now.releases;
  LIKENESS_ASSIGN_OR_RETURN(now, FindGarbage(home, rules, clock));
  now.releases = removed;
  const std::set<std::string> objects = shown(garbage.objects, &ObjectInfo::key);
  std::erase_if(now.objects, [&](const ObjectInfo& object) { return !objects.contains(object.key); });
  now.bytes = 0;
  const size_t total = now.objects.size() + now.thumbnails.size();
  for (size_t i = 0; i < now.objects.size(); ++i) {
    if (control.stopped()) return absl::CancelledError("stopped; run `likeness release gc` again to go on");
    control.progress("remove", i, total);
    LIKENESS_RETURN_IF_ERROR(home.objects().Delete(now.objects[i].key));
    now.bytes += now.objects[i].size;
  }
  for (const std::filesystem::path& path : now.thumbnails) {
    std::error_code error;
    const uint64_t size = std::filesystem::file_size(path, error);
    if (!error && std::filesystem::remove(path, error)) now.bytes += size;
  }
  if (current) {
    std::vector<std::string> gone = current->removing;  // of a removal that was cut off
    gone.insert(gone.end(), removed.begin(), removed.end());
    LIKENESS_RETURN_IF_ERROR(ForgetRemoved(home, gone));
  }
  control.progress("remove", total, total);
  return now;
}

}  // namespace likeness
