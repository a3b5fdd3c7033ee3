#include "product/young_duplicates.h"

#include <algorithm>

#include "feature/hash.h"
#include "feature/local.h"
#include "product/stored_pixels.h"
#include "product/token_words.h"

namespace likeness {

class YoungDuplicates::Source final : public DuplicateSource {
 public:
  Source(Home& home, std::shared_ptr<const Snapshot> snapshot, FeatureKey local,
         std::span<const std::shared_ptr<const YoungObject>> objects)
      : home_(home),
        snapshot_(std::move(snapshot)),
        local_(std::move(local)),
        hash_(HashFeatureKey()),
        objects_(objects.begin(), objects.end()) {}

  uint64_t doc_count() const override { return snapshot_->doc_count(); }

  std::optional<PdqValue> Hash(uint64_t document) const override {
    const Snapshot::Place place = snapshot_->At(document);
    const PlainColumn* const column = snapshot_->segments()[place.segment]->plain(hash_);
    return column == nullptr ? std::nullopt : ParsePdqValue(column->value(place.doc));
  }

  absl::StatusOr<DuplicateRecord> Read(uint64_t document) const override {
    const Snapshot::Place place = snapshot_->At(document);
    const Segment::Size size = snapshot_->segments()[place.segment]->size(place.doc);
    DuplicateRecord record{size.width, size.height, Hash(document), {}};
    const Signature& signature = snapshot_->signature(place);
    for (const auto& object : objects_) {
      const FeatureShard* const shard = object->batch.Find(local_);
      const std::optional<size_t> at = shard == nullptr ? std::nullopt : shard->Find(signature);
      if (!at || !shard->has_value(*at)) continue;
      LIKENESS_ASSIGN_OR_RETURN(record.local, UnpackLocals(shard->value(*at)));
      break;
    }
    return record;
  }

  absl::StatusOr<Pixels> ReadPixels(uint64_t document) const override {
    return ReadStoredPixels(home_, snapshot_->signature(snapshot_->At(document)));
  }

 private:
  Home& home_;
  const std::shared_ptr<const Snapshot> snapshot_;
  const FeatureKey local_, hash_;
  const std::vector<std::shared_ptr<const YoungObject>> objects_;
};

YoungDuplicates::YoungDuplicates() = default;
YoungDuplicates::~YoungDuplicates() = default;

absl::StatusOr<std::unique_ptr<YoungDuplicates>> YoungDuplicates::Make(
    Home& home, const Vocabulary& vocabulary, std::shared_ptr<const Snapshot> served, const AllowedDocs& allowed,
    std::span<const std::shared_ptr<const YoungObject>> objects) {
  auto made = std::unique_ptr<YoungDuplicates>(new YoungDuplicates());
  std::vector<std::shared_ptr<const Segment>> segments;
  std::vector<TokenWords::Shard> words;
  uint64_t first = 0;
  for (size_t i = served->segments().size() - served->young(); i < served->segments().size(); ++i) {
    segments.push_back(served->segments()[i]);
    made->allowed_.push_back(allowed.empty() ? nullptr : allowed[i]);
    words.push_back({served->tokens(i), first});
    first += segments.back()->doc_count();
  }
  made->snapshot_ = std::make_shared<const Snapshot>(served->name(), std::move(segments));
  made->served_ = std::move(served);
  made->source_ = std::make_unique<Source>(home, made->snapshot_, LocalFeatureKey(vocabulary), objects);
  if (std::ranges::all_of(words, [](const TokenWords::Shard& one) { return one.index != nullptr; })) {
    made->words_ = std::make_unique<TokenWords>(std::move(words));
  }
  LIKENESS_ASSIGN_OR_RETURN(made->finder_, DuplicateFinder::Make(*made->source_, made->words_.get()));
  return made;
}

DuplicateAnswer YoungDuplicates::Find(const DuplicateQuery& query, const DuplicateFindOptions& options,
                                      std::optional<Signature> except) const {
  return finder_->Find(query, options, [&](uint64_t document) {
    const Snapshot::Place place = snapshot_->At(document);
    const auto& allowed = allowed_[place.segment];
    return (allowed == nullptr || allowed->Test(place.doc)) && (!except || snapshot_->signature(place) != *except);
  });
}

}  // namespace likeness
