#include "index/allowed_nodes.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "index/graph.h"

namespace likeness {
namespace {

constexpr size_t kGraphsOfSet = 4;  // a segment has a graph for each of its features

// Codes are kept of sets that have one of so many documents, and not more bytes, of one set and of all.
constexpr size_t kPartIsKept = 6, kBytesOfSet = size_t{6} << 20;
constexpr uint64_t kBytesOfAll = uint64_t{256} << 20;
std::atomic<uint64_t> bytes_kept = 0;  // codes of all sets

// Whether there is room for so many bytes more, which are then taken.
bool TakeRoom(uint64_t bytes) {
  uint64_t kept = bytes_kept.load(std::memory_order_relaxed);
  while (kept + bytes <= kBytesOfAll) {
    if (bytes_kept.compare_exchange_weak(kept, kept + bytes, std::memory_order_relaxed)) return true;
  }
  return false;
}

}  // namespace

AllowedNodes::~AllowedNodes() { bytes_kept.fetch_sub(codes.size() * sizeof(uint64_t), std::memory_order_relaxed); }

std::shared_ptr<const AllowedNodes> AllowedNodes::Of(const GraphView& graph, CodeRows codes,
                                                     std::span<const uint64_t> allowed) {
  auto made = std::make_shared<AllowedNodes>();
  AllowedNodes& nodes = *made;
  const size_t most = std::min(graph.documents / kPartIsKept, kBytesOfSet / (sizeof(uint64_t) * codes.words));
  nodes.in_lists.assign((graph.members.size() + 63) / 64, 0);
  nodes.ends.reserve(graph.ends.size());
  size_t place = 0;
  for (const uint32_t end : graph.ends) {
    for (; place < std::min<size_t>(end, graph.members.size()); ++place) {
      const size_t before = nodes.documents;
      ForEachEqual(graph, graph.members[place], [&](uint32_t row) {
        if ((allowed[row / 64] >> (row % 64) & 1) == 0) return;
        if (++nodes.documents <= most) nodes.rows.push_back(row);
      });
      nodes.in_lists[place / 64] |= uint64_t{nodes.documents > before} << (place % 64);
    }
    nodes.ends.push_back(static_cast<uint32_t>(nodes.rows.size()));
  }
  const size_t size = nodes.documents * codes.words;
  if (nodes.documents > most || size == 0 || !TakeRoom(size * sizeof(uint64_t))) {
    std::vector<uint32_t>().swap(nodes.rows);
    std::vector<uint32_t>().swap(nodes.ends);
    return made;
  }
  std::vector<uint64_t>().swap(nodes.in_lists);
  nodes.codes.reserve(size);
  for (const uint32_t row : nodes.rows) {
    const auto code = codes.data.subspan(size_t{row} * codes.words, codes.words);
    nodes.codes.insert(nodes.codes.end(), code.begin(), code.end());
  }
  return made;
}

std::shared_ptr<const AllowedNodes> KeptNodes::For(const GraphView& graph, CodeRows codes,
                                                   std::span<const uint64_t> allowed) {
  {
    const std::lock_guard lock(mutex_);
    const auto kept = std::ranges::find(kept_, graph.number, &OfGraph::graph);
    if (kept == kept_.end()) {
      if (kept_.size() == kGraphsOfSet) kept_.erase(kept_.begin());
      kept_.push_back({.graph = graph.number, .asked_again = false, .nodes = nullptr});
      return nullptr;
    }
    if (kept->asked_again) return kept->nodes;
    kept->asked_again = true;
  }
  std::shared_ptr<const AllowedNodes> made = AllowedNodes::Of(graph, codes, allowed);
  const std::lock_guard lock(mutex_);
  const auto kept = std::ranges::find(kept_, graph.number, &OfGraph::graph);
  if (kept != kept_.end()) kept->nodes = made;
  return made;
}

}  // namespace likeness
