#include "rank/token_search.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <tuple>
#include <utility>

#include "index/token_format.h"
#include "kernel/signature_scan.h"
#include "kernel/top_k.h"

namespace likeness {
namespace {

constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();
constexpr double kSlowRead = 2;      // ms, of one list
constexpr float kSigma = 16;         // bits: of the weight of a pair by its distance
constexpr float kLeastNorm = 0.25f;  // of a document's norm, as a share of the query's: few keypoints prove little

// A keypoint of the query and a posting.
struct Pair {
  uint32_t doc;
  uint32_t query;
  uint32_t geometry;
  uint32_t distance;
  uint64_t signature;
  float weight;
  uint32_t next;  // pair of the same document
};

// The weight of a pair of so many bits of distance.
std::array<float, 65> PairWeights() {
  std::array<float, 65> weights;
  for (size_t bits = 0; bits < weights.size(); ++bits) {
    weights[bits] = static_cast<float>(std::exp(-static_cast<double>(bits * bits) / (kSigma * kSigma)));
  }
  return weights;
}

// A keypoint of the query that has a list.
struct Asked {
  uint32_t query;
  TokenIndex::List list;
  size_t begin = 0, end = 0;  // its pairs
  float sum = 0;              // of their weights, also of those of documents that are not allowed
};

class Search {
 public:
  Search(const TokenIndex& index, const TokenQuery& query, TokenStats& stats)
      : index_(index), query_(query), stats_(stats) {}

  absl::StatusOr<std::vector<TokenHit>> Run();

 private:
  void FindLists();
  absl::Status ReadList(Asked& asked);
  void Weigh();
  float Agreeing(uint32_t doc) const;
  float Divisor(uint32_t doc) const { return norm_ * std::max(index_.norm(DocId(doc)), kLeastNorm * norm_); }
  TokenHit HitOf(uint32_t doc, float score) const;

  const TokenIndex& index_;
  const TokenQuery& query_;
  TokenStats& stats_;
  const std::array<float, 65> weights_ = PairWeights();
  float norm_ = 0;  // of the query
  struct Pose {
    int scale = 0, angle = 0;  // as a row has them
  };
  std::vector<Pose> poses_;  // of the query's features
  std::vector<Asked> asked_;
  std::vector<Pair> pairs_;
  std::vector<uint64_t> masks_;
  // By document: the sum of its pairs and the first of them.
  std::vector<float> sums_;
  std::vector<uint32_t> firsts_;
  std::vector<uint32_t> found_;  // documents with pairs
};

// Rarest first: they tell most, should the time not suffice for all.
void Search::FindLists() {
  double squares = 0;
  for (uint32_t i = 0; i < query_.features.size(); ++i) {
    Asked asked{.query = i, .list = index_.Find(query_.features[i].word)};
    const double weight = TokenWeight(index_.doc_count(), asked.list.documents);
    squares += weight * weight;
    if (!asked.list.empty()) asked_.push_back(asked);
    std::array<std::byte, kLocalRowSize> row;
    PackLocal(query_.features[i], row);
    poses_.push_back({std::to_integer<int>(row[kLocalRowSize - 2]), std::to_integer<int>(row[kLocalRowSize - 1])});
  }
  norm_ = static_cast<float>(std::sqrt(squares));
  std::ranges::sort(asked_, [this](const Asked& a, const Asked& b) {
    const auto key = [this](const Asked& one) {
      return std::tuple(one.list.postings, query_.features[one.query].word, one.query);
    };
    return key(a) < key(b);
  });
}

absl::Status Search::ReadList(Asked& asked) {
  const uint64_t signature = query_.features[asked.query].signature;
  asked.begin = pairs_.size();
  uint32_t before = kNone;  // document of the pair before
  size_t run = asked.begin;
  float of_doc = 0;
  // Pairs of one keypoint with many of one document count as the root of their number.
  const auto close = [&] {
    for (size_t i = run; i < pairs_.size(); ++i) pairs_[i].weight *= std::sqrt(pairs_[i].weight / of_doc);
    run = pairs_.size();
    of_doc = 0;
  };
  for (uint32_t part = asked.list.begin; part < asked.list.end; ++part) {
    LIKENESS_ASSIGN_OR_RETURN(const TokenPart read, index_.Read(part));
    const size_t blocks = read.bases.size();
    masks_.resize(blocks);
    SignaturesWithin(read.signatures, signature, query_.most_distance, masks_);
    stats_.postings += read.signatures.size();
    size_t at = 0;
    for (size_t block = 0; block < blocks; at += read.GapBytes(block), ++block) {
      if (masks_[block] == 0) continue;
      uint32_t docs[64];
      read.Documents(block, at, static_cast<size_t>(std::bit_width(masks_[block])), docs);
      for (uint64_t mask = masks_[block]; mask != 0; mask &= mask - 1) {
        const auto bit = static_cast<size_t>(std::countr_zero(mask));
        const size_t i = block * kTokenBlock + bit;
        const uint32_t doc = docs[bit];
        if (doc >= index_.doc_count()) return absl::DataLossError("a list of postings names a document that is none");
        const auto distance = static_cast<uint32_t>(std::popcount(read.signatures[i] ^ signature));
        const float weight = weights_[distance];
        asked.sum += weight;
        if (query_.allowed != nullptr && !query_.allowed->Test(DocId(doc))) continue;
        if (doc != before) close();
        before = doc;
        of_doc += weight;
        pairs_.push_back({doc, asked.query, read.geometry[i], distance, read.signatures[i], weight, kNone});
      }
    }
  }
  close();
  asked.end = pairs_.size();
  return absl::OkStatus();
}

// Keypoints that match more than the query's do on the average count less; then pairs are added up by document.
void Search::Weigh() {
  double sum = 0;
  size_t matched = 0;
  for (const Asked& asked : asked_) {
    sum += asked.sum;
    matched += asked.sum > 0 ? 1 : 0;
  }
  const auto mean = static_cast<float>(sum / static_cast<double>(std::max<size_t>(matched, 1)));
  sums_.assign(index_.doc_count(), 0);
  firsts_.assign(index_.doc_count(), kNone);
  for (const Asked& asked : asked_) {
    if (asked.begin == asked.end) continue;
    const float word = TokenWeight(index_.doc_count(), asked.list.documents);
    const float factor = word * word * std::min(1.0f, std::sqrt(mean / asked.sum));
    for (size_t i = asked.begin; i < asked.end; ++i) {
      Pair& pair = pairs_[i];
      pair.weight *= factor;
      if (firsts_[pair.doc] == kNone) found_.push_back(pair.doc);
      pair.next = std::exchange(firsts_[pair.doc], static_cast<uint32_t>(i));
      sums_[pair.doc] += pair.weight;
    }
  }
}

// The weight of a document's pairs that agree on a turn, or on a change of scale, whichever is less: within 45 degrees
// and a factor of two.
float Search::Agreeing(uint32_t doc) const {
  constexpr size_t kTurns = 16, kScales = 64;
  std::array<float, kTurns> turns{};
  std::array<float, kScales + 1> scales{};
  for (uint32_t i = firsts_[doc]; i != kNone; i = pairs_[i].next) {
    const Pair& pair = pairs_[i];
    const Pose& pose = poses_[pair.query];
    const int turn = static_cast<int>(TokenAngle(pair.geometry) * 4 + 2) - pose.angle;
    const int change = static_cast<int>(TokenScale(pair.geometry) * 4 + 2) - pose.scale;
    turns[static_cast<size_t>(turn & 255) / 16] += pair.weight;
    scales[static_cast<size_t>(change + 256) / 8] += pair.weight;
  }
  float turned = turns.back() + turns.front(), scaled = 0;
  for (size_t i = 0; i + 1 < kTurns; ++i) turned = std::max(turned, turns[i] + turns[i + 1]);
  for (size_t i = 0; i < kScales; ++i) scaled = std::max(scaled, scales[i] + scales[i + 1]);
  return std::min(turned, scaled);
}

TokenHit Search::HitOf(uint32_t doc, float score) const {
  TokenHit hit{.doc = DocId(doc), .score = score, .matches = {}};
  for (uint32_t i = firsts_[doc]; i != kNone; i = pairs_[i].next) {
    const Pair& pair = pairs_[i];
    hit.matches.push_back(
        {pair.query, pair.distance, TokenFeature(query_.features[pair.query].word, pair.signature, pair.geometry)});
  }
  std::ranges::reverse(hit.matches);
  std::ranges::stable_sort(hit.matches, {}, &TokenMatch::query);
  return hit;
}

absl::StatusOr<std::vector<TokenHit>> Search::Run() {
  FindLists();
  stats_.lists += asked_.size();
  std::vector<Asked> read;
  const auto most = static_cast<double>(query_.most_common) * static_cast<double>(index_.doc_count());
  bool announced = false;
  Stopwatch watch;
  for (Asked& asked : asked_) {
    if (query_.most_common < 1 && asked.list.documents > most) {
      ++stats_.lists_common;
      continue;
    }
    if (query_.deadline.Passed()) break;
    LIKENESS_RETURN_IF_ERROR(ReadList(asked));
    ++stats_.lists_read;
    read.push_back(asked);
    // Lists come from the disk, it seems, where many at once take little longer than one.
    if (!announced && watch.Milliseconds() > kSlowRead) {
      for (const Asked& one : asked_) index_.Announce(one.list);
      announced = true;
    }
    watch.Restart();
  }
  asked_ = std::move(read);
  stats_.pairs += pairs_.size();
  Weigh();
  TopK by_pairs(std::max(query_.refine_least, query_.k)), best(query_.k);
  for (const uint32_t doc : found_) by_pairs.Offer(RankedKey(RankOfScore(sums_[doc] / Divisor(doc)), doc));
  for (const uint64_t key : by_pairs.keys()) {
    const uint32_t doc = RowOf(key);
    const float score = Agreeing(doc) / Divisor(doc);
    best.Offer(RankedKey(RankOfScore(score), doc));
  }
  std::vector<TokenHit> hits;
  for (const uint64_t key : best.TakeSorted()) {
    const uint32_t doc = RowOf(key);
    hits.push_back(HitOf(doc, Agreeing(doc) / Divisor(doc)));
  }
  return hits;
}

}  // namespace

absl::StatusOr<std::vector<TokenHit>> SearchTokens(const TokenIndex& index, const TokenQuery& query,
                                                   TokenStats& stats) {
  if (query.allowed != nullptr && query.allowed->size() != index.doc_count()) {
    return absl::InvalidArgumentError("a filter over " + std::to_string(query.allowed->size()) +
                                      " documents was given for an index of " + std::to_string(index.doc_count()));
  }
  if (query.most_distance > 64) {
    return absl::InvalidArgumentError("most_distance is " + std::to_string(query.most_distance) +
                                      "; signatures have 64 bits");
  }
  if (!(query.most_common > 0 && query.most_common <= 1)) {
    return absl::InvalidArgumentError("most_common is a share of the documents, above 0 and at most 1");
  }
  if (query.k == 0) return std::vector<TokenHit>();
  return Search(index, query, stats).Run();
}

}  // namespace likeness
