#include "index/cluster_tree.h"

#include <algorithm>
#include <queue>
#include <utility>

#include "base/random.h"
#include "base/thread_pool.h"
#include "index/met_rows.h"
#include "kernel/hamming_gather.h"

namespace likeness {

ClusterTrees::ClusterTrees(CodeRows codes, std::span<const uint64_t> present, const ClusterTreeOptions& options)
    : codes_(codes), trees_(std::max<size_t>(options.trees, 1)) {
  std::vector<uint32_t> rows;
  for (uint32_t row = 0; row < codes.rows(); ++row) {
    if (present.empty() || (present[row / 64] >> (row % 64) & 1) != 0) rows.push_back(row);
  }
  ParallelFor(trees_.size(), std::max<size_t>(options.threads, 1),
              [&](size_t t) { trees_[t] = Grow(rows, options, options.seed * 1'000'003 + t); });
}

ClusterTrees::Tree ClusterTrees::Grow(std::span<const uint32_t> rows, const ClusterTreeOptions& options,
                                      uint64_t seed) const {
  Random random(seed);
  const size_t branching = std::max<size_t>(options.branching, 2), words = codes_.words;
  Tree tree;
  tree.rows.assign(rows.begin(), rows.end());
  tree.nodes.push_back({0, static_cast<uint32_t>(rows.size()), true});
  tree.centers.push_back(kNoRow);
  std::vector<uint64_t> center_codes;
  std::vector<uint32_t> part_of, parted, begins;
  std::vector<uint16_t> distances;
  // Nodes are parted in the order of their making: children come after their parent.
  for (size_t n = 0; n < tree.nodes.size(); ++n) {
    const uint32_t begin = tree.nodes[n].begin, end = tree.nodes[n].end;
    if (end - begin <= options.leaf) continue;
    const std::span<uint32_t> part = std::span(tree.rows).subspan(begin, end - begin);
    const size_t centers = std::min(branching, part.size());
    for (size_t i = 0; i < centers; ++i) std::swap(part[i], part[i + random.Below(part.size() - i)]);
    center_codes.clear();
    for (size_t i = 0; i < centers; ++i) {
      const auto code = codes_.data.subspan(part[i] * words, words);
      center_codes.insert(center_codes.end(), code.begin(), code.end());
    }
    part_of.resize(part.size());
    distances.resize(centers);
    begins.assign(centers + 1, 0);
    for (size_t i = 0; i < part.size(); ++i) {
      HammingDistances({center_codes, words}, codes_.data.subspan(part[i] * words, words), distances);
      part_of[i] = static_cast<uint32_t>(std::ranges::min_element(distances) - distances.begin());
      ++begins[part_of[i] + 1];
    }
    if (std::ranges::count(begins, 0u) + 1 >= static_cast<std::ptrdiff_t>(begins.size())) continue;  // all equal
    const std::vector<uint32_t> chosen(part.begin(), part.begin() + static_cast<std::ptrdiff_t>(centers));
    for (size_t i = 1; i < begins.size(); ++i) begins[i] += begins[i - 1];
    std::vector<uint32_t> at(begins.begin(), begins.end() - 1);
    parted.resize(part.size());
    for (size_t i = 0; i < part.size(); ++i) parted[at[part_of[i]]++] = part[i];
    std::ranges::copy(parted, part.begin());
    const auto first = static_cast<uint32_t>(tree.nodes.size());
    for (size_t i = 0; i < centers; ++i) {
      if (begins[i] == begins[i + 1]) continue;  // the center equals an earlier one
      tree.nodes.push_back({begin + begins[i], begin + begins[i + 1], true});
      tree.centers.push_back(chosen[i]);
    }
    tree.nodes[n] = {first, static_cast<uint32_t>(tree.nodes.size()), false};
  }
  return tree;
}

uint64_t ClusterTrees::Search(std::span<const uint64_t> query, size_t checks, std::span<const uint64_t> allowed,
                              TopK& best) const {
  struct Branch {
    uint32_t distance, tree, node;
    auto operator<=>(const Branch&) const = default;
  };
  std::priority_queue<Branch, std::vector<Branch>, std::greater<>> passed_by;
  thread_local MetRows met;
  met.Clear(checks);
  uint64_t compared = 0, looked = 0;
  std::vector<uint32_t> rows;
  std::vector<uint16_t> distances;
  const auto descend = [&](uint32_t t, uint32_t n) {
    const Tree& tree = trees_[t];
    while (!tree.nodes[n].leaf) {
      const Node& node = tree.nodes[n];
      const std::span<const uint32_t> centers = std::span(tree.centers).subspan(node.begin, node.end - node.begin);
      distances.resize(std::max(distances.size(), centers.size()));
      HammingGather(codes_, query, centers, distances);
      compared += centers.size();
      size_t nearest = 0;
      for (size_t i = 1; i < centers.size(); ++i) {
        if (distances[i] < distances[nearest]) nearest = i;
      }
      for (size_t i = 0; i < centers.size(); ++i) {
        if (i != nearest) passed_by.push({distances[i], t, node.begin + static_cast<uint32_t>(i)});
      }
      n = node.begin + static_cast<uint32_t>(nearest);
    }
    rows.clear();
    for (uint32_t i = tree.nodes[n].begin; i < tree.nodes[n].end; ++i) {
      const uint32_t row = tree.rows[i];
      if (!allowed.empty() && (allowed[row / 64] >> (row % 64) & 1) == 0) continue;
      if (met.Add(row)) rows.push_back(row);
    }
    distances.resize(std::max(distances.size(), rows.size()));
    HammingGather(codes_, query, rows, distances);
    for (size_t i = 0; i < rows.size(); ++i) best.Offer(RankedKey(distances[i], rows[i]));
    compared += rows.size();
    looked += rows.size();
  };
  for (uint32_t t = 0; t < trees_.size(); ++t) descend(t, 0);
  while (looked < checks && !passed_by.empty()) {
    const Branch branch = passed_by.top();
    passed_by.pop();
    descend(branch.tree, branch.node);
  }
  return compared;
}

size_t ClusterTrees::bytes() const {
  size_t bytes = 0;
  for (const Tree& tree : trees_) {
    bytes += tree.nodes.size() * (sizeof(Node) + sizeof(uint32_t)) + tree.rows.size() * sizeof(uint32_t);
  }
  return bytes;
}

}  // namespace likeness
