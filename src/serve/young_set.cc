#include "serve/young_set.h"

#include <algorithm>

namespace likeness {

void YoungSet::Insert(YoungItem item, const SignatureSet& unknown) {
  unknown_.insert(unknown.begin(), unknown.end());
  const std::string key = item.object->key;
  Entry& entry = entries_[key];
  entry.item = std::move(item);
  Mask(entry);
}

void YoungSet::Replace(std::span<const std::string> keys, std::optional<YoungItem> with) {
  for (const std::string& key : keys) {
    const auto found = entries_.find(key);
    if (found == entries_.end()) continue;
    for (const Signature& signature : found->second.found) seen_.erase(signature);
    entries_.erase(found);
  }
  if (with) Insert(*std::move(with));
}

void YoungSet::SetWorld(World world) {
  world_ = std::move(world);
  seen_.clear();
  for (auto& [key, entry] : entries_) Mask(entry);
}

void YoungSet::SetKnown(const std::vector<Signature>& signatures) {
  for (const Signature& signature : signatures) unknown_.erase(signature);
}

bool YoungSet::Keeps(const YoungObject& object, const Signature& signature) const {
  if (unknown_.contains(signature) || world_.hidden->removed.contains(signature)) return false;
  if (world_.sealed == nullptr || !world_.sealed->Find(signature)) return true;
  return std::ranges::any_of(object.batch.features, [&](const FeatureShard& shard) {
    return world_.needed.contains(shard.info().feature) && !world_.released.contains(shard.info().feature);
  });
}

void YoungSet::Mask(Entry& entry) {
  entry.found.clear();
  entry.allowed = nullptr;
  entry.kept = 0;
  const YoungObject& object = *entry.item.object;
  for (const Signature& signature : object.signatures) entry.kept += Keeps(object, signature) ? 1 : 0;
  if (entry.item.part.segment == nullptr) return;
  const Segment& segment = *entry.item.part.segment;
  DocSet allowed(segment.doc_count());
  for (uint32_t doc = 0; doc < segment.doc_count(); ++doc) {
    const Signature& signature = segment.signature(DocId(doc));
    if (unknown_.contains(signature) || world_.hidden->Has(signature)) continue;
    if (world_.sealed != nullptr && world_.sealed->Find(signature)) continue;
    if (!seen_.insert(signature).second) continue;
    entry.found.push_back(signature);
    allowed.Set(DocId(doc));
  }
  if (entry.found.size() < segment.doc_count()) entry.allowed = std::make_shared<const DocSet>(std::move(allowed));
}

std::set<std::string> YoungSet::Keys() const {
  std::set<std::string> keys;
  for (const auto& [key, entry] : entries_) keys.insert(key);
  return keys;
}

std::vector<std::shared_ptr<const YoungObject>> YoungSet::Objects() const {
  std::vector<std::shared_ptr<const YoungObject>> objects;
  for (const auto& [key, entry] : entries_) objects.push_back(entry.item.object);
  return objects;
}

std::vector<std::string> YoungSet::Spent() const {
  std::vector<std::string> keys;
  for (const auto& [key, entry] : entries_) {
    if (entry.kept == 0) keys.push_back(key);
  }
  return keys;
}

std::vector<std::shared_ptr<const YoungObject>> YoungSet::NextMerge() const {
  std::vector<const Entry*> entries;
  std::vector<size_t> sizes, wanted;
  for (const auto& [key, entry] : entries_) {
    entries.push_back(&entry);
    sizes.push_back(entry.item.object->signatures.size());
    wanted.push_back(entry.kept);
  }
  std::vector<std::shared_ptr<const YoungObject>> objects;
  for (const size_t place : PlanMerge(sizes, wanted)) objects.push_back(entries[place]->item.object);
  return objects;
}

void YoungSet::Collect(std::vector<Snapshot::Part>& parts, AllowedDocs& allowed) const {
  for (const auto& [key, entry] : entries_) {
    if (entry.found.empty()) continue;
    parts.push_back(entry.item.part);
    allowed.push_back(entry.allowed);
  }
}

}  // namespace likeness
