#include "product/collection_duplicates.h"

#include <algorithm>

#include "base/log.h"
#include "feature/hash.h"
#include "feature/local.h"
#include "image/decode.h"
#include "pipeline/materialise.h"
#include "pipeline/open_snapshot.h"
#include "product/stored_pixels.h"
#include "product/token_words.h"
#include "store/fingerprint_file.h"
#include "store/object_keys.h"
#include "store/release.h"

namespace likeness {
namespace {

bool Has(const Release& release, const FeatureKey& key) {
  return std::ranges::any_of(release.features, [&](const Release::Feature& feature) { return feature.key == key; });
}

// The token indexes beside the segments; null unless every segment has one.
std::unique_ptr<WordSource> WordsOf(const Snapshot& snapshot) {
  std::vector<TokenWords::Shard> shards;
  uint64_t first = 0;
  for (size_t i = 0; i < snapshot.segments().size(); ++i) {
    if (snapshot.tokens(i) == nullptr) return nullptr;
    shards.push_back({snapshot.tokens(i), first});
    first += snapshot.segments()[i]->doc_count();
  }
  return std::make_unique<TokenWords>(std::move(shards));
}

}  // namespace

class CollectionDuplicates::Source final : public DuplicateSource {
 public:
  Source(Home& home, std::shared_ptr<const Snapshot> snapshot, FeatureKey local)
      : home_(home), snapshot_(std::move(snapshot)), local_(std::move(local)), hash_(HashFeatureKey()) {}

  absl::Status OpenFiles(const Release& release) {
    const std::string generation = GenerationOf(release.features);
    for (const Release::Shard& shard : release.shards) {
      const std::string key = FingerprintKey(generation, shard.id);
      LIKENESS_ASSIGN_OR_RETURN(const std::filesystem::path path, home_.objects().LocalFile(key));
      auto file = FingerprintFile::Open(path);
      if (!file.ok()) return Annotate(file.status(), key);
      files_.push_back(*std::move(file));
    }
    return absl::OkStatus();
  }

  uint64_t doc_count() const override { return snapshot_->doc_count(); }

  std::optional<PdqValue> Hash(uint64_t document) const override {
    const Snapshot::Place place = snapshot_->At(document);
    const PlainColumn* column = snapshot_->segments()[place.segment]->plain(hash_);
    return column == nullptr ? std::nullopt : ParsePdqValue(column->value(place.doc));
  }

  absl::StatusOr<DuplicateRecord> Read(uint64_t document) const override {
    const Snapshot::Place place = snapshot_->At(document);
    LIKENESS_ASSIGN_OR_RETURN(const Fingerprint fingerprint, files_[place.segment]->Get(snapshot_->signature(place)));
    DuplicateRecord record{fingerprint.width, fingerprint.height, Hash(document), {}};
    if (const Fingerprint::Plain* local = fingerprint.FindPlain(local_)) {
      LIKENESS_ASSIGN_OR_RETURN(record.local, UnpackLocals(std::as_bytes(std::span(local->value))));
    }
    return record;
  }

  absl::StatusOr<Pixels> ReadPixels(uint64_t document) const override {
    return ReadStoredPixels(home_, snapshot_->signature(snapshot_->At(document)));
  }

  const Home& home() const { return home_; }

 private:
  Home& home_;
  std::shared_ptr<const Snapshot> snapshot_;
  FeatureKey local_, hash_;
  std::vector<std::unique_ptr<FingerprintFile>> files_;  // beside the snapshot's segments
};

CollectionDuplicates::CollectionDuplicates() = default;
CollectionDuplicates::~CollectionDuplicates() = default;

absl::StatusOr<std::unique_ptr<CollectionDuplicates>> CollectionDuplicates::Open(
    Home& home, const std::function<void(uint64_t done, uint64_t total)>& progress) {
  LIKENESS_ASSIGN_OR_RETURN(const std::optional<CurrentRelease> current, ReadCurrent(home.objects()));
  if (!current) {
    return absl::FailedPreconditionError("nothing is indexed yet: run `likeness fingerprint` and `likeness index`");
  }
  LIKENESS_ASSIGN_OR_RETURN(const Release release, ReadRelease(home.objects(), current->name));
  LIKENESS_ASSIGN_OR_RETURN(const std::filesystem::path words, FindVocabulary(home.path(), home.config().vocabulary));
  auto made = std::unique_ptr<CollectionDuplicates>(new CollectionDuplicates());
  LIKENESS_ASSIGN_OR_RETURN(made->vocabulary_, Vocabulary::Open(words));
  const FeatureKey local = LocalFeatureKey(*made->vocabulary_);
  if (!Has(release, local) || !Has(release, HashFeatureKey())) {
    return absl::FailedPreconditionError(
        "the current release has no hashes and local features of this program's versions: put \"pdq\" and \"local\" "
        "among the types of [features] in likeness.toml, then run `likeness fingerprint` and `likeness index`");
  }
  LIKENESS_ASSIGN_OR_RETURN(made->snapshot_, OpenSnapshot(home, release));
  made->source_ = std::make_unique<Source>(home, made->snapshot_, local);
  LIKENESS_RETURN_IF_ERROR(made->source_->OpenFiles(release));
  made->words_ = WordsOf(*made->snapshot_);
  LIKENESS_ASSIGN_OR_RETURN(made->finder_, DuplicateFinder::Make(*made->source_, made->words_.get(), progress));
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<Signature> unpinned, home.catalog().Unpinned());
  if (!unpinned.empty()) {
    made->visible_.assign(made->snapshot_->doc_count(), true);
    for (const Signature& signature : unpinned) {
      if (const auto place = made->snapshot_->Find(signature)) made->visible_[made->snapshot_->Ordinal(*place)] = false;
    }
  }
  return made;
}

absl::StatusOr<DuplicateQuery> CollectionDuplicates::QueryOf(std::span<const std::byte> image) const {
  LIKENESS_ASSIGN_OR_RETURN(const Pixels pixels, DecodeImage(image, source_->home().config().image, kStandardSize));
  return DuplicateQuery::Of(pixels, *vocabulary_);
}

absl::StatusOr<DuplicateQuery> CollectionDuplicates::QueryOf(const Signature& signature) const {
  const std::optional<Snapshot::Place> place = snapshot_->Find(signature);
  if (!place) return absl::NotFoundError("the release has no image " + signature.Hex());
  LIKENESS_ASSIGN_OR_RETURN(const Pixels pixels, source_->ReadPixels(snapshot_->Ordinal(*place)));
  return DuplicateQuery::Of(pixels, *vocabulary_);
}

DuplicateAnswer CollectionDuplicates::Find(const DuplicateQuery& query, const DuplicateFindOptions& options,
                                           std::optional<Signature> except) const {
  return finder_->Find(query, options, [&](uint64_t document) {
    return (visible_.empty() || visible_[document]) && (!except || signature(document) != *except);
  });
}

absl::StatusOr<std::unique_ptr<DuplicateLog>> CollectionDuplicates::OpenLog(bool again) const {
  const std::string rules = FeatureKey::Of("duplicates", "rules=" + std::to_string(kDuplicateRules) +
                                                             "\nlocal=" + LocalFeatureKey(*vocabulary_).ToString() +
                                                             "\nhash=" + HashFeatureKey().ToString() + "\n")
                                .version;
  const std::filesystem::path folder = source_->home().path() / "duplicates";
  std::error_code error;
  if (again) std::filesystem::remove(folder / (rules + ".log"), error);
  return DuplicateLog::Open(folder, rules);
}

void CollectionDuplicates::Remember(DuplicateLog& log, FindPairsOptions& options) const {
  std::vector<bool> known(snapshot_->doc_count());
  const auto document = [this](const Signature& signature) -> std::optional<uint64_t> {
    const auto place = snapshot_->Find(signature);
    if (!place) return std::nullopt;
    const uint64_t ordinal = snapshot_->Ordinal(*place);
    return visible_.empty() || visible_[ordinal] ? std::optional(ordinal) : std::nullopt;
  };
  for (const auto& [signature, found] : log.asked()) {
    const auto asked = document(signature);
    if (!asked) continue;
    known[*asked] = true;
    for (const DuplicateLog::Found& one : found) {
      if (const auto other = document(one.image)) options.before.push_back({*asked, *other, one.score, one.evidence});
    }
  }
  options.known = [known = std::move(known)](uint64_t asked) { return known[asked]; };
  options.asked = [this, &log, told = false](uint64_t asked, std::span<const SamePair> same) mutable {
    std::vector<DuplicateLog::Found> found;
    for (const SamePair& pair : same) found.push_back({signature(pair.b), pair.score, pair.evidence});
    const absl::Status written = log.Add(signature(asked), std::move(found));
    if (!written.ok() && !std::exchange(told, true)) {
      Log(LogLevel::kWarning, "duplicates_not_kept", {{"reason", MessageOf(written)}});
    }
  };
}

CollectionDuplicates::Clusters CollectionDuplicates::FindClusters(FindPairsOptions options, DuplicateLog* log) const {
  if (!visible_.empty()) options.allowed = [this](uint64_t document) { return visible_[document]; };
  if (log != nullptr) Remember(*log, options);
  const FoundPairs found = FindSamePairs(*finder_, *vocabulary_, options);
  std::vector<uint64_t> weights(snapshot_->doc_count());
  for (uint64_t document = 0; document < weights.size(); ++document) {
    const Snapshot::Place place = snapshot_->At(document);
    const Segment::Size size = snapshot_->segments()[place.segment]->size(place.doc);
    weights[document] = uint64_t{size.width} * size.height;
  }
  Clusters clusters;
  clusters.clusters = ClusterDuplicates(found.pairs, weights);
  clusters.images = visible_.empty() ? weights.size() : static_cast<uint64_t>(std::ranges::count(visible_, true));
  clusters.pairs = found.pairs.size();
  clusters.asked = found.asked;
  clusters.unreadable = found.unreadable;
  clusters.complete = found.complete;
  return clusters;
}

}  // namespace likeness
