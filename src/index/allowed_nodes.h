// What a search of a graph wants to know of a set of documents. Made when a set is asked of the same graph again, and
// kept with the set.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "kernel/hamming.h"

namespace likeness {

struct GraphView;

// A filter that lets through so many documents of a segment at most, one of 13, is answered exactly.
inline constexpr size_t kPartIsFew = 13;

struct AllowedNodes {
  size_t documents = 0;  // of the set that have a code

  // The places of the graph's lists whose rows may be found, so that a search reads which of a list are allowed in one
  // or two words: bit i % 64 of word i / 64 says whether the i-th of GraphView::members, or one with an equal code, is
  // in the set.
  std::vector<uint64_t> in_lists;

  // Or, in place of that, where the set has one of 6 documents at most and their codes take 6 MiB at most: the
  // documents list after list, each followed by those with an equal code, where each list ends, and the codes in this
  // order, so that looking at a list reads one piece of memory. Not where all sets of the process keep 256 MiB of codes
  // already.
  std::vector<uint32_t> rows;
  std::vector<uint32_t> ends;
  std::vector<uint64_t> codes;

  AllowedNodes() = default;
  AllowedNodes(const AllowedNodes&) = delete;
  AllowedNodes& operator=(const AllowedNodes&) = delete;
  ~AllowedNodes();

  // `allowed`: a bitmap of at least the documents of the graph. REQUIRES: codes has the rows and words of the graph
  static std::shared_ptr<const AllowedNodes> Of(const GraphView& graph, CodeRows codes,
                                                std::span<const uint64_t> allowed);
};

// The AllowedNodes that a set keeps. A copy keeps none, and is equal to every other. Any thread.
class KeptNodes {
 public:
  KeptNodes() = default;
  KeptNodes(const KeptNodes&) {}
  KeptNodes& operator=(const KeptNodes&) {
    Drop();
    return *this;
  }
  ~KeptNodes() = default;

  // Those of the set for the graph. Null the first time that they are asked for: a set that is used once is not worth
  // the making, about two milliseconds for a million documents. The second call makes them, and others do not wait.
  std::shared_ptr<const AllowedNodes> For(const GraphView& graph, CodeRows codes, std::span<const uint64_t> allowed);

  // The set has changed: nobody else may use it meanwhile.
  void Drop() {
    if (!kept_.empty()) kept_.clear();
  }

  friend bool operator==(const KeptNodes&, const KeptNodes&) { return true; }

 private:
  struct OfGraph {
    uint64_t graph = 0;  // GraphView::number
    bool asked_again = false;
    std::shared_ptr<const AllowedNodes> nodes;
  };

  std::mutex mutex_;
  std::vector<OfGraph> kept_;
};

}  // namespace likeness
