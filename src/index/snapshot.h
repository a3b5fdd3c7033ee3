// The segments that answer queries now, under the name of their release.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "index/segment.h"
#include "index/token_index.h"
#include "types/doc_id.h"
#include "types/signature.h"

namespace likeness {

// An ordered list of segments that never changes: a reader takes a shared_ptr to one and sees the same collection until
// it lets go. To switch, make another. Any thread.
class Snapshot {
 public:
  // A document of the snapshot.
  struct Place {
    size_t segment = 0;  // index into segments()
    DocId doc;
    friend auto operator<=>(const Place&, const Place&) = default;
  };

  // `metadata` is empty or has one entry a segment, which may be null: what people wrote about its documents, in the
  // same order of documents (rank/metadata.h). REQUIRES: as many documents as the segment beside it
  // `tokens`: beside `segments`, null where there is none; it may be shorter.
  Snapshot(std::string name, std::vector<std::shared_ptr<const Segment>> segments,
           std::vector<std::shared_ptr<const Segment>> metadata = {},
           std::vector<std::shared_ptr<const TokenIndex>> tokens = {});

  const std::string& name() const { return name_; }
  std::span<const std::shared_ptr<const Segment>> segments() const { return segments_; }
  // May be null.
  const Segment* metadata(size_t segment) const {
    return segment < metadata_.size() ? metadata_[segment].get() : nullptr;
  }
  uint64_t doc_count() const { return starts_.back(); }

  // Postings by visual word of a segment's documents. May be null: it has none. Lives as long as the snapshot.
  const TokenIndex* tokens(size_t segment) const { return segment < tokens_.size() ? tokens_[segment].get() : nullptr; }

  // A segment with what lies beside it, each of the same documents; both of those may be null.
  struct Part {
    std::shared_ptr<const Segment> segment;
    std::shared_ptr<const Segment> metadata = nullptr;
    std::shared_ptr<const TokenIndex> tokens = nullptr;
  };
  // This one with segments behind its own of pictures that are in no release yet: only this process has them.
  std::shared_ptr<const Snapshot> With(std::span<const Part> young) const;
  // How many of segments(), the last ones, are young.
  size_t young() const { return young_; }

  // Numbers all documents from 0 to doc_count(), segment after segment, for paging.
  // REQUIRES: ordinal < doc_count()
  Place At(uint64_t ordinal) const;
  // REQUIRES: `place` is in the snapshot
  uint64_t Ordinal(Place place) const { return starts_[place.segment] + place.doc.value(); }

  const Signature& signature(Place place) const { return segments_[place.segment]->signature(place.doc); }
  // The first segment that has the image decides.
  std::optional<Place> Find(const Signature& signature) const;

 private:
  std::string name_;
  std::vector<std::shared_ptr<const Segment>> segments_;
  std::vector<std::shared_ptr<const Segment>> metadata_;
  std::vector<std::shared_ptr<const TokenIndex>> tokens_;
  size_t young_ = 0;
  std::vector<uint64_t> starts_;  // ordinal of each segment's first document, then doc_count()
};

}  // namespace likeness
