#include "index/snapshot.h"

#include <algorithm>
#include <utility>

namespace likeness {

Snapshot::Snapshot(std::string name, std::vector<std::shared_ptr<const Segment>> segments,
                   std::vector<std::shared_ptr<const Segment>> metadata,
                   std::vector<std::shared_ptr<const TokenIndex>> tokens)
    : name_(std::move(name)),
      segments_(std::move(segments)),
      metadata_(std::move(metadata)),
      tokens_(std::move(tokens)),
      starts_{0} {
  LIKENESS_CHECK(metadata_.empty() || metadata_.size() == segments_.size());
  for (const std::shared_ptr<const Segment>& segment : segments_) {
    starts_.push_back(starts_.back() + segment->doc_count());
  }
}

std::shared_ptr<const Snapshot> Snapshot::With(std::span<const Part> young) const {
  auto more = std::make_shared<Snapshot>(*this);
  more->young_ += young.size();
  more->metadata_.resize(segments_.size());
  more->tokens_.resize(segments_.size());
  for (const Part& part : young) {
    more->segments_.push_back(part.segment);
    more->metadata_.push_back(part.metadata);
    more->tokens_.push_back(part.tokens);
    more->starts_.push_back(more->starts_.back() + part.segment->doc_count());
  }
  return more;
}

Snapshot::Place Snapshot::At(uint64_t ordinal) const {
  // The last segment that starts at or before it: empty ones start where the next does, and are passed over.
  const auto after = std::upper_bound(starts_.begin(), starts_.end(), ordinal);
  const auto segment = static_cast<size_t>(after - starts_.begin()) - 1;
  return {segment, DocId(static_cast<uint32_t>(ordinal - starts_[segment]))};
}

std::optional<Snapshot::Place> Snapshot::Find(const Signature& signature) const {
  for (size_t i = 0; i < segments_.size(); ++i) {
    if (const std::optional<DocId> doc = segments_[i]->Find(signature)) return Place{i, *doc};
  }
  return std::nullopt;
}

}  // namespace likeness
