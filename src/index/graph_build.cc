// How a graph is made: equal codes are joined, pivots chosen, every code put in the buckets of its nearest pivots, the
// codes of a bucket compared with each other, and the edges of each code taken from the nearest that it met.
//
// The making by overlapping buckets in place of searches is after "PiPNN" and ParlayANN's HCNNG; the choice of edges is
// the occlusion rule of HNSW and Vamana (Malkov and Yashunin 2018; Subramanya et al. 2019).
#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstring>
#include <numeric>
#include <thread>
#include <utility>

#include "base/bytes.h"
#include "base/random.h"
#include "base/thread_pool.h"
#include "index/graph.h"
#include "index/graph_format.h"
#include "kernel/hamming_gather.h"

namespace likeness {
namespace {

constexpr size_t kOfMiddle = 4;     // one of so many rows helps to find the middle of a list,
constexpr size_t kManyRows = 64;    // where lists have so many in the mean
constexpr size_t kCandidates = 64;  // near codes that each keeps until its edges are chosen
constexpr size_t kFanout = 8;       // buckets that each code is put in
constexpr size_t kBucket = 2048;    // codes of a bucket that are compared at one go; more are split
constexpr size_t kSampleNear = 16;  // neighbors of each code of the sample that thinning looks at
constexpr size_t kOut = 24;         // edges that a code chooses itself; the others are those that come back
constexpr size_t kIncoming = 128;   // codes that chose it, of which it looks at the nearest
constexpr uint32_t kOcclude = 6, kOccludeOf = 5;  // a kept neighbor hides those that are 6/5 times nearer to it
constexpr size_t kQueriesAtOnce = 256;            // compared in one pass

// Codes in one piece of memory, with the rows that they came from.
struct Gathered {
  std::vector<uint64_t> codes;
  size_t words = 1;
  CodeRows rows() const { return {codes, words}; }
  std::span<const uint64_t> row(size_t i) const { return std::span(codes).subspan(i * words, words); }
};

void Gather(CodeRows codes, std::span<const uint32_t> rows, Gathered& out) {
  out.words = codes.words;
  out.codes.resize(rows.size() * codes.words);
  for (size_t i = 0; i < rows.size(); ++i) {
    std::memcpy(out.codes.data() + i * codes.words, codes.data.data() + size_t{rows[i]} * codes.words,
                codes.words * sizeof(uint64_t));
  }
}

// The k nearest of `base` for each of `queries`, row by row, in `out`[queries, k] as RankedKeys; short lists end in the
// largest number.
void AllNearest(CodeRows queries, CodeRows base, size_t k, size_t threads, std::vector<uint64_t>& out) {
  out.assign(queries.rows() * k, std::numeric_limits<uint64_t>::max());
  const size_t blocks = (queries.rows() + kQueriesAtOnce - 1) / kQueriesAtOnce;
  ParallelFor(blocks, threads, [&](size_t block) {
    const size_t first = block * kQueriesAtOnce, count = std::min(kQueriesAtOnce, queries.rows() - first);
    std::vector<TopK> best(count, TopK(k));
    HammingNearestBatch(base, {queries.data.subspan(first * queries.words, count * queries.words), queries.words}, {},
                        best);
    for (size_t q = 0; q < count; ++q) {
      std::ranges::copy(best[q].TakeSorted(), out.begin() + static_cast<std::ptrdiff_t>((first + q) * k));
    }
  });
}

// One row for each distinct code, ascending, and the chains of the others.
struct Distinct {
  std::vector<uint32_t> rows;
  std::vector<uint32_t> same;  // as GraphView::same
};

Distinct JoinEqual(CodeRows codes, std::span<const uint64_t> present) {
  const size_t size = codes.words * sizeof(uint64_t);
  const auto row_of = [&](uint32_t row) { return codes.data.data() + size_t{row} * codes.words; };
  std::vector<std::pair<uint64_t, uint32_t>> hashes;
  hashes.reserve(codes.rows());
  for (uint32_t row = 0; row < codes.rows(); ++row) {
    if (!present.empty() && (present[row / 64] >> (row % 64) & 1) == 0) continue;
    hashes.emplace_back(Checksum(std::as_bytes(std::span(row_of(row), codes.words))), row);
  }
  std::ranges::sort(hashes);
  Distinct distinct;
  std::vector<uint32_t> firsts;  // of the distinct codes of one hash: more than one where hashes collide
  std::vector<uint32_t> lasts;
  for (size_t i = 0; i < hashes.size(); ++i) {
    if (i == 0 || hashes[i].first != hashes[i - 1].first) firsts.clear(), lasts.clear();
    const uint32_t row = hashes[i].second;
    const auto equal = std::ranges::find_if(
        firsts, [&](uint32_t first) { return std::memcmp(row_of(first), row_of(row), size) == 0; });
    if (equal == firsts.end()) {
      firsts.push_back(row);
      lasts.push_back(row);
      distinct.rows.push_back(row);
    } else {
      if (distinct.same.empty()) distinct.same.assign(codes.rows(), kNoRow);
      uint32_t& last = lasts[static_cast<size_t>(equal - firsts.begin())];
      distinct.same[last] = row;
      last = row;
    }
  }
  std::ranges::sort(distinct.rows);
  return distinct;
}

// Enough that their lists are short, few enough that scanning them is quick.
size_t PivotsFor(size_t rows, size_t words) {
  constexpr double kScanBytes = 2 << 20;
  const double root = std::sqrt(static_cast<double>(rows));
  const double most = std::max(8 * root, std::min(16 * root, kScanBytes / (8.0 * static_cast<double>(words))));
  return std::max<size_t>(static_cast<size_t>(std::min(static_cast<double>(rows) / 64, most)), 1);
}

// Which of the sample stay, so that none is within `radius` of another that stays, as far as their lists of neighbors
// say: the first of the order that is still there drives out those near it.
std::vector<bool> Thin(std::span<const uint32_t> starts, std::span<const uint64_t> near, uint32_t radius) {
  std::vector<bool> stays(starts.size() - 1, true);
  for (size_t i = 0; i + 1 < starts.size(); ++i) {
    if (!stays[i]) continue;
    for (uint32_t j = starts[i]; j < starts[i + 1] && RankOf(near[j]) <= radius; ++j) {
      if (RowOf(near[j]) > i) stays[RowOf(near[j])] = false;
    }
  }
  return stays;
}

// Rows for pivots: a sample, thinned so that dense places do not have many and sparse ones have some.
std::vector<uint32_t> ChoosePivots(CodeRows codes, std::span<const uint32_t> rows, size_t pivots, uint64_t seed,
                                   size_t threads) {
  std::vector<uint32_t> sample(rows.begin(), rows.end());
  const size_t count = std::min(4 * pivots, sample.size());
  Random random(seed);
  for (size_t i = 0; i < count; ++i) std::swap(sample[i], sample[i + random.Below(sample.size() - i)]);
  sample.resize(count);
  if (count <= pivots) return sample;

  Gathered gathered;
  Gather(codes, sample, gathered);
  std::vector<uint64_t> nearest;
  AllNearest(gathered.rows(), gathered.rows(), kSampleNear + 1, threads, nearest);
  // Both ends of every pair, so that one that has many nearer ones is still driven out by an earlier one.
  std::vector<std::pair<uint32_t, uint64_t>> pairs;
  for (uint32_t i = 0; i < count; ++i) {
    for (size_t j = 0; j < kSampleNear + 1; ++j) {
      const uint64_t key = nearest[i * (kSampleNear + 1) + j];
      if (key == std::numeric_limits<uint64_t>::max() || RowOf(key) == i) continue;
      pairs.emplace_back(i, key);
      pairs.emplace_back(RowOf(key), RankedKey(RankOf(key), i));
    }
  }
  std::ranges::sort(pairs);
  std::vector<uint32_t> starts(count + 1, 0);
  std::vector<uint64_t> near;
  for (const auto& [i, key] : pairs) ++starts[i + 1], near.push_back(key);
  std::partial_sum(starts.begin(), starts.end(), starts.begin());

  uint32_t low = 0, high = static_cast<uint32_t>(64 * codes.words);  // the smallest radius that leaves few enough
  while (low < high) {
    const uint32_t middle = (low + high) / 2;
    const std::vector<bool> stays = Thin(starts, near, middle);
    if (static_cast<size_t>(std::ranges::count(stays, true)) <= pivots)
      high = middle;
    else
      low = middle + 1;
  }
  const std::vector<bool> stays = Thin(starts, near, low);
  std::vector<uint32_t> chosen;
  for (size_t i = 0; i < count && chosen.size() < pivots; ++i) {
    if (stays[i]) chosen.push_back(sample[i]);
  }
  return chosen;
}

// Moves each pivot to the middle of the rows that are nearest to it: every bit is that of most of them, and stays as it
// is where they are even. A part of the rows is enough for that where there are many.
void MovePivots(CodeRows codes, std::span<const uint32_t> rows, size_t threads, Gathered& pivots) {
  const size_t step = rows.size() >= kManyRows * pivots.rows().rows() ? kOfMiddle : 1;
  std::vector<uint32_t> some;
  for (size_t i = 0; i < rows.size(); i += step) some.push_back(rows[i]);
  Gathered gathered;
  Gather(codes, some, gathered);
  std::vector<uint64_t> nearest;
  AllNearest(gathered.rows(), pivots.rows(), 1, threads, nearest);
  const size_t words = codes.words;
  std::vector<uint16_t> ones(pivots.codes.size() * 64, 0);
  std::vector<uint16_t> counts(pivots.rows().rows(), 0);
  for (size_t i = 0; i < some.size(); ++i) {
    const size_t pivot = RowOf(nearest[i]);
    if (counts[pivot] == 0xFFFF) continue;
    ++counts[pivot];
    uint16_t* const bits = ones.data() + pivot * words * 64;
    for (size_t w = 0; w < words; ++w) {
      const uint64_t word = gathered.codes[i * words + w];
      for (size_t bit = 0; bit < 64; ++bit) {
        bits[64 * w + bit] = static_cast<uint16_t>(bits[64 * w + bit] + (word >> bit & 1));
      }
    }
  }
  for (size_t w = 0; w < pivots.codes.size(); ++w) {
    const uint32_t count = counts[w / words];
    for (size_t bit = 0; bit < 64; ++bit) {
      const uint32_t twice = 2u * ones[64 * w + bit];
      if (twice > count) pivots.codes[w] |= uint64_t{1} << bit;
      if (twice < count) pivots.codes[w] &= ~(uint64_t{1} << bit);
    }
  }
}

// The nearest codes that each has met so far, sorted, and a lock for each of a few groups of them.
class Candidates {
 public:
  explicit Candidates(size_t nodes) : keys_(nodes * kCandidates, std::numeric_limits<uint64_t>::max()) {}

  std::span<uint64_t> of(size_t node) { return std::span(keys_).subspan(node * kCandidates, kCandidates); }

  // The same in the end whatever the order of calls: the nearest of all that were offered.
  void Offer(size_t node, std::span<const uint32_t> bucket, std::span<const uint16_t> distances,
             std::span<uint32_t> scratch) {
    std::atomic_flag& lock = locks_[node % locks_.size()];
    while (lock.test_and_set(std::memory_order_acquire)) std::this_thread::yield();
    const std::span<uint64_t> keys = of(node);
    const size_t near =
        IndicesAtMost(distances, static_cast<uint16_t>(std::min<uint32_t>(RankOf(keys.back()), 0xFFFF)), scratch);
    for (size_t i = 0; i < near; ++i) {
      const uint64_t key = RankedKey(distances[scratch[i]], bucket[scratch[i]]);
      if (key >= keys.back() || bucket[scratch[i]] == node) continue;
      const auto at = std::ranges::lower_bound(keys, key);
      if (*at == key) continue;
      std::move_backward(at, keys.end() - 1, keys.end());
      *at = key;
    }
    lock.clear(std::memory_order_release);
  }

 private:
  std::vector<uint64_t> keys_;
  std::array<std::atomic_flag, 4096> locks_{};
};

// Chooses edges from `keys`, sorted: the nearest, then each that no chosen one hides; at most `most`. Where that leaves
// room up to `fill`, the nearest of the hidden ones. Writes them sorted and returns how many.
class EdgeChooser {
 public:
  EdgeChooser(CodeRows codes, std::span<const uint32_t> rows) : codes_(codes), rows_(rows) {}

  size_t Choose(std::span<const uint64_t> keys, size_t most, size_t fill, std::span<uint64_t> out) {
    node_rows_.clear();
    for (const uint64_t key : keys) node_rows_.push_back(rows_[RowOf(key)]);
    Gather(codes_, node_rows_, gathered_);
    hidden_.assign(keys.size(), 0);
    distances_.resize(keys.size());
    size_t chosen = 0;
    for (size_t i = 0; i < keys.size() && chosen < most; ++i) {
      if (hidden_[i] != 0) continue;
      hidden_[i] = 2;
      ++chosen;
      const size_t later = keys.size() - i - 1;
      if (later == 0) break;
      HammingDistances({std::span(gathered_.codes).subspan((i + 1) * codes_.words), codes_.words}, gathered_.row(i),
                       std::span(distances_).first(later));
      for (size_t j = 0; j < later; ++j) {
        if (hidden_[i + 1 + j] == 0 && kOcclude * distances_[j] < kOccludeOf * RankOf(keys[i + 1 + j])) {
          hidden_[i + 1 + j] = 1;
        }
      }
    }
    for (size_t i = 0; i < keys.size() && chosen < fill; ++i) {
      if (hidden_[i] == 2) continue;
      hidden_[i] = 2;
      ++chosen;
    }
    size_t written = 0;
    for (size_t i = 0; i < keys.size(); ++i) {
      if (hidden_[i] == 2) out[written++] = keys[i];
    }
    return written;
  }

 private:
  CodeRows codes_;
  std::span<const uint32_t> rows_;
  std::vector<uint32_t> node_rows_;
  Gathered gathered_;
  std::vector<uint8_t> hidden_;
  std::vector<uint16_t> distances_;
};

// Calls body(begin, end) over pieces of [0, count).
void ParallelPieces(size_t count, size_t threads, const std::function<void(size_t, size_t)>& body) {
  constexpr size_t kPiece = 1024;
  ParallelFor((count + kPiece - 1) / kPiece, threads,
              [&](size_t piece) { body(piece * kPiece, std::min(count, (piece + 1) * kPiece)); });
}

struct Lists {
  std::vector<uint32_t> ends;
  std::vector<uint32_t> members;  // nodes
};

// The first `fanout` of each node's `k` nearest pivots, turned round: nodes by pivot, ascending.
Lists NodesByPivot(std::span<const uint64_t> nearest, size_t k, size_t fanout, size_t pivots) {
  Lists lists;
  std::vector<uint32_t> at(pivots + 1, 0);
  const size_t nodes = nearest.size() / k;
  const auto each = [&](const auto& body) {
    for (size_t node = 0; node < nodes; ++node) {
      for (size_t f = 0; f < fanout; ++f) {
        const uint64_t key = nearest[node * k + f];
        if (key != std::numeric_limits<uint64_t>::max()) body(RowOf(key), static_cast<uint32_t>(node));
      }
    }
  };
  each([&](uint32_t pivot, uint32_t) { ++at[pivot + 1]; });
  std::partial_sum(at.begin(), at.end(), at.begin());
  lists.ends.assign(at.begin() + 1, at.end());
  lists.members.resize(at.back());
  each([&](uint32_t pivot, uint32_t node) { lists.members[at[pivot]++] = node; });
  return lists;
}

void MeetInBuckets(CodeRows codes, std::span<const uint32_t> rows, const Lists& buckets, size_t threads,
                   Candidates& candidates) {
  ParallelFor(buckets.ends.size(), threads, [&](size_t b) {
    const size_t begin = b == 0 ? 0 : buckets.ends[b - 1], end = buckets.ends[b];
    if (end - begin < 2) return;
    const size_t parts = (end - begin + kBucket - 1) / kBucket;
    Gathered gathered;
    std::vector<uint32_t> nodes, bucket_rows, scratch;
    std::vector<uint16_t> distances;
    for (size_t part = 0; part < parts; ++part) {
      nodes.clear();
      bucket_rows.clear();
      for (size_t i = begin + part; i < end; i += parts) {
        nodes.push_back(buckets.members[i]);
        bucket_rows.push_back(rows[buckets.members[i]]);
      }
      Gather(codes, bucket_rows, gathered);
      distances.resize(nodes.size());
      scratch.resize(nodes.size());
      for (size_t i = 0; i < nodes.size(); ++i) {
        HammingDistances(gathered.rows(), gathered.row(i), distances);
        candidates.Offer(nodes[i], nodes, distances, scratch);
      }
    }
  });
}

// The edges of every node, [rows, degree] in document rows.
std::vector<uint32_t> ChooseEdges(CodeRows codes, std::span<const uint32_t> rows, size_t degree, size_t threads,
                                  Candidates& candidates) {
  const size_t out = std::min(kOut, degree);
  ParallelPieces(rows.size(), threads, [&](size_t begin, size_t end) {
    EdgeChooser chooser(codes, rows);
    std::array<uint64_t, kCandidates> chosen;
    for (size_t node = begin; node < end; ++node) {
      const std::span<uint64_t> keys = candidates.of(node);
      const auto count =
          static_cast<size_t>(std::ranges::lower_bound(keys, std::numeric_limits<uint64_t>::max()) - keys.begin());
      const size_t kept = chooser.Choose(keys.first(count), out, out, chosen);
      std::copy_n(chosen.begin(), kept, keys.begin());
      std::fill(keys.begin() + static_cast<std::ptrdiff_t>(kept), keys.end(), std::numeric_limits<uint64_t>::max());
    }
  });
  // Those that chose each node, by node.
  std::vector<uint64_t> starts(rows.size() + 1, 0);
  const auto each = [&](const auto& body) {
    for (size_t node = 0; node < rows.size(); ++node) {
      for (const uint64_t key : candidates.of(node).first(out)) {
        if (key == std::numeric_limits<uint64_t>::max()) break;
        body(static_cast<uint32_t>(node), key);
      }
    }
  };
  each([&](uint32_t, uint64_t key) { ++starts[RowOf(key) + 1]; });
  std::partial_sum(starts.begin(), starts.end(), starts.begin());
  std::vector<uint64_t> incoming(starts.back());
  std::vector<uint64_t> at(starts.begin(), starts.end() - 1);
  each([&](uint32_t node, uint64_t key) { incoming[at[RowOf(key)]++] = RankedKey(RankOf(key), node); });

  std::vector<uint32_t> edges(codes.rows() * degree, kNoRow);
  ParallelPieces(rows.size(), threads, [&](size_t begin, size_t end) {
    EdgeChooser chooser(codes, rows);
    std::vector<uint64_t> keys, chosen(degree);
    for (size_t node = begin; node < end; ++node) {
      keys.assign(incoming.begin() + static_cast<std::ptrdiff_t>(starts[node]),
                  incoming.begin() + static_cast<std::ptrdiff_t>(starts[node + 1]));
      std::ranges::sort(keys);
      if (keys.size() > kIncoming) keys.resize(kIncoming);
      for (const uint64_t key : candidates.of(node).first(out)) {
        if (key != std::numeric_limits<uint64_t>::max()) keys.push_back(key);
      }
      std::ranges::sort(keys);
      keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
      size_t kept = keys.size();
      if (kept <= degree)
        std::ranges::copy(keys, chosen.begin());
      else
        kept = chooser.Choose(keys, degree, degree, chosen);
      for (size_t i = 0; i < kept; ++i) edges[size_t{rows[node]} * degree + i] = rows[RowOf(chosen[i])];
    }
  });
  return edges;
}

}  // namespace

std::vector<std::byte> MakeGraph(CodeRows codes, std::span<const uint64_t> present, const GraphOptions& options) {
  const size_t degree = std::clamp<size_t>(options.degree, 4, kMaxGraphDegree);
  const Distinct distinct = JoinEqual(codes, present);
  const size_t nodes = distinct.rows.size();
  std::vector<uint32_t> edges, ends, members;
  Gathered pivots{{}, codes.words};
  uint32_t radius = 0;
  if (nodes > 0) {
    const size_t wanted = options.pivots != 0 ? std::min(options.pivots, nodes) : PivotsFor(nodes, codes.words);
    Gather(codes, ChoosePivots(codes, distinct.rows, wanted, options.seed, options.threads), pivots);
    MovePivots(codes, distinct.rows, options.threads, pivots);
    std::vector<uint64_t> nearest;
    {
      Gathered all;
      CodeRows queries = codes;
      if (nodes != codes.rows()) {
        Gather(codes, distinct.rows, all);
        queries = all.rows();
      }
      AllNearest(queries, pivots.rows(), kFanout, options.threads, nearest);
    }
    Lists lists = NodesByPivot(nearest, kFanout, 1, pivots.rows().rows());
    ends = std::move(lists.ends);
    for (const uint32_t node : lists.members) members.push_back(distinct.rows[node]);
    double sum = 0;
    for (size_t node = 0; node < nodes; ++node) sum += RankOf(nearest[node * kFanout]);
    radius = static_cast<uint32_t>(16 * sum / static_cast<double>(nodes) + 0.5);
    const Lists buckets = NodesByPivot(nearest, kFanout, kFanout, pivots.rows().rows());
    std::vector<uint64_t>().swap(nearest);
    Candidates candidates(nodes);
    MeetInBuckets(codes, distinct.rows, buckets, options.threads, candidates);
    edges = ChooseEdges(codes, distinct.rows, degree, options.threads, candidates);
  } else {
    edges.assign(codes.rows() * degree, kNoRow);
  }

  GraphHeader header{.degree = static_cast<uint32_t>(degree), .documents = codes.rows(), .members = members.size()};
  header.words = static_cast<uint32_t>(codes.words);
  header.pivots = static_cast<uint32_t>(ends.size());
  header.radius = radius;
  header.has_same = distinct.same.empty() ? 0 : 1;
  std::vector<std::byte> bytes;
  const auto append = [&](std::span<const std::byte> part) {
    bytes.resize(AlignedForGraph(bytes.size()));
    bytes.insert(bytes.end(), part.begin(), part.end());
  };
  bytes.reserve(edges.size() * 4 + pivots.codes.size() * 8 + members.size() * 4 + distinct.same.size() * 4 + 1024);
  append(std::as_bytes(std::span(&header, 1)));
  append(std::as_bytes(std::span(edges)));
  append(std::as_bytes(std::span(pivots.codes)));
  append(std::as_bytes(std::span(ends)));
  append(std::as_bytes(std::span(members)));
  append(std::as_bytes(std::span(distinct.same)));
  return bytes;
}

}  // namespace likeness
