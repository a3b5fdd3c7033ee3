#include "cluster/routing.h"

#include <map>

namespace likeness {
namespace {

constexpr size_t kMostNamed = 3;

// Why the leaves do not serve something of the release that they should.
std::string WhyUnserved(const std::string& release, const std::vector<std::shared_ptr<LeafLink>>& leaves) {
  std::string why;
  size_t named = 0;
  const auto add = [&](const std::string& text) {
    if (named++ < kMostNamed) why += (why.empty() ? "" : "; ") + text;
  };
  for (const auto& leaf : leaves) {
    const auto description = leaf->description();
    if (description == nullptr) {
      add(leaf->Trouble());
      continue;
    }
    const LeafDescription::Release* here = description->Find(release);
    if (here == nullptr) {
      add("leaf " + leaf->address() +
          (description->releases.empty()
               ? " has no release yet"
               : " serves release " + description->releases.front().name + ", not " + release));
    } else if (!here->problems.empty()) {
      add("leaf " + leaf->address() + ": " + here->problems.front());
    }
  }
  if (named > kMostNamed) why += "; and " + std::to_string(named - kMostNamed) + " more";
  if (leaves.empty()) return "there are no leaves";
  return why.empty() ? "no leaf serves them" : why;
}

}  // namespace

Routing RouteOf(const Snapshot& snapshot, const std::vector<std::shared_ptr<LeafLink>>& leaves) {
  const auto segments = snapshot.segments().first(snapshot.segments().size() - snapshot.young());
  std::vector<std::vector<size_t>> served(segments.size());  // by which leaves
  for (size_t leaf = 0; leaf < leaves.size(); ++leaf) {
    const auto description = leaves[leaf]->description();
    const auto* here = description == nullptr ? nullptr : description->Find(snapshot.name());
    if (here == nullptr) continue;
    for (const uint32_t segment : here->segments) {
      if (segment < segments.size()) served[segment].push_back(leaf);
    }
  }
  Routing routing;
  std::map<std::vector<size_t>, size_t> places;
  for (size_t i = 0; i < segments.size(); ++i) {
    const uint64_t documents = segments[i]->doc_count();
    if (served[i].empty()) {
      routing.unserved.push_back(static_cast<uint32_t>(i));
      routing.unserved_documents += documents;
      continue;
    }
    const auto [place, made] = places.try_emplace(served[i], routing.sets.size());
    if (made) {
      ReplicaSet& set = routing.sets.emplace_back();
      for (const size_t leaf : served[i]) set.leaves.push_back(leaves[leaf]);
    }
    ReplicaSet& set = routing.sets[place->second];
    set.segments.push_back(static_cast<uint32_t>(i));
    set.documents += documents;
  }
  if (!routing.unserved.empty()) routing.why = WhyUnserved(snapshot.name(), leaves);
  return routing;
}

}  // namespace likeness
