// Which leaves serve which segments of a release.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cluster/leaf_link.h"
#include "index/snapshot.h"

namespace likeness {

// Segments that the same leaves serve: they are asked of one of them together.
struct ReplicaSet {
  std::vector<uint32_t> segments;                 // ascending
  std::vector<std::shared_ptr<LeafLink>> leaves;  // at least one
  uint64_t documents = 0;
};

// Never changes; made anew when a leaf says something else of itself.
struct Routing {
  std::vector<ReplicaSet> sets;
  std::vector<uint32_t> unserved;  // segments that no leaf has
  uint64_t unserved_documents = 0;
  std::string why;  // no leaf has them, one sentence
};

// Of the segments of the release alone: those that are young are not on any leaf.
Routing RouteOf(const Snapshot& snapshot, const std::vector<std::shared_ptr<LeafLink>>& leaves);

}  // namespace likeness
