// Which young batches there are, and which of their pictures are to be found in them.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "index/snapshot.h"
#include "rank/root.h"
#include "serve/young_segments.h"

namespace likeness {

using SignatureSet = std::unordered_set<Signature, SignatureHash>;

// What no query finds.
struct HiddenImages {
  SignatureSet removed;
  SignatureSet unpinned;

  bool Has(const Signature& signature) const { return removed.contains(signature) || unpinned.contains(signature); }
  bool empty() const { return removed.empty() && unpinned.empty(); }
};

// Not thread-safe. A picture is found in one batch: not in one that is removed from the collection, nor where a release
// has it, nor twice.
class YoungSet {
 public:
  // What the masks follow from. `sealed` may be null: there is no release yet.
  struct World {
    std::shared_ptr<const HiddenImages> hidden;
    std::shared_ptr<const Snapshot> sealed;
    std::set<FeatureKey> needed;  // of the configuration: a batch with one of these that the release lacks stays
    std::set<FeatureKey> released;
  };

  // `unknown`: pictures of it that the catalog does not have: a server died between two writes.
  void Insert(YoungItem item, const SignatureSet& unknown = {});
  // Also for a merge, where `with` holds the pictures of those that go.
  void Replace(std::span<const std::string> keys, std::optional<YoungItem> with);
  // New masks for all.
  void SetWorld(World world);
  const World& world() const { return world_; }
  // Takes those out of the unknown ones.
  void SetKnown(const std::vector<Signature>& signatures);
  const SignatureSet& unknown() const { return unknown_; }

  std::set<std::string> Keys() const;
  std::vector<std::shared_ptr<const YoungObject>> Objects() const;
  // Batches of which nothing is wanted any more: releases have their pictures, or they are removed.
  std::vector<std::string> Spent() const;
  // What to merge next; empty when nothing is worth it.
  std::vector<std::shared_ptr<const YoungObject>> NextMerge() const;
  // Whether the picture is to be kept, wherever it lies.
  bool Keeps(const YoungObject& object, const Signature& signature) const;

  // Adds the segments and what a query may find of them; null where that is all.
  void Collect(std::vector<Snapshot::Part>& parts, AllowedDocs& allowed) const;
  size_t images() const { return seen_.size(); }  // that are found

 private:
  struct Entry {
    YoungItem item;
    std::shared_ptr<const DocSet> allowed;  // null: all
    std::vector<Signature> found;           // counted in seen_
    size_t kept = 0;
  };

  void Mask(Entry& entry);

  World world_;
  std::map<std::string, Entry> entries_;  // by key: the order of their making
  SignatureSet seen_;
  SignatureSet unknown_;
};

}  // namespace likeness
