#include "eval/ranking.h"

#include <algorithm>
#include <cmath>
#include <mutex>

#include "base/thread_pool.h"
#include "index/deep_column.h"
#include "index/segment_writer.h"
#include "kernel/dot.h"
#include "kernel/hamming.h"
#include "kernel/top_k.h"

namespace likeness {
namespace {

constexpr size_t kQueryBlock = 32;  // queries that pass over the rows together, and
constexpr size_t kRowBlock = 64;    // rows that stay in the cache while they do

void Normalize(std::span<float> vector) {
  const double norm = std::sqrt(static_cast<double>(SquaredNormFloat(vector)));
  if (!(norm > 0)) return;
  for (float& value : vector) value = static_cast<float>(value / norm);
}

float ScoreOfDistance(uint32_t distance, size_t bits) {
  return 1.0f - 2.0f * static_cast<float>(distance) / static_cast<float>(bits);
}

// Sorts keys best first and hands their rows on, all but `query`.
void Emit(size_t query, std::vector<uint64_t>& keys, std::span<const float> score_of_row, const RankingSink& sink) {
  std::ranges::sort(keys);
  std::vector<uint32_t> rows;
  std::vector<float> scores;
  rows.reserve(keys.size());
  scores.reserve(keys.size());
  for (const uint64_t key : keys) {
    if (RowOf(key) == query) continue;
    rows.push_back(RowOf(key));
    scores.push_back(score_of_row[RowOf(key)]);
  }
  sink(query, rows, scores);
}

}  // namespace

std::vector<float> UnitVectors(std::span<const float> values, size_t dimension, bool centred) {
  LIKENESS_CHECK(dimension > 0 && values.size() % dimension == 0);
  std::vector<float> unit(values.begin(), values.end());
  const size_t rows = values.size() / dimension;
  const auto row = [&](size_t i) { return std::span(unit).subspan(i * dimension, dimension); };
  for (size_t i = 0; i < rows; ++i) Normalize(row(i));
  if (!centred || rows == 0) return unit;
  std::vector<double> mean(dimension);
  for (size_t i = 0; i < unit.size(); ++i) mean[i % dimension] += unit[i];
  for (size_t i = 0; i < unit.size(); ++i) {
    unit[i] = static_cast<float>(unit[i] - mean[i % dimension] / static_cast<double>(rows));
  }
  for (size_t i = 0; i < rows; ++i) Normalize(row(i));
  return unit;
}

void RankByCosine(std::span<const float> unit, size_t dimension, size_t threads, const RankingSink& sink) {
  LIKENESS_CHECK(dimension > 0 && unit.size() % dimension == 0);
  const size_t count = unit.size() / dimension;
  const auto row = [&](size_t i) { return unit.subspan(i * dimension, dimension); };
  ParallelFor((count + kQueryBlock - 1) / kQueryBlock, threads, [&](size_t block) {
    const size_t first = block * kQueryBlock;
    const size_t queries = std::min(kQueryBlock, count - first);
    std::vector<float> scores(queries * count);
    for (size_t begin = 0; begin < count; begin += kRowBlock) {
      const size_t end = std::min(begin + kRowBlock, count);
      for (size_t q = 0; q < queries; ++q) {
        for (size_t r = begin; r < end; ++r) scores[q * count + r] = DotFloat(row(first + q), row(r));
      }
    }
    std::vector<uint64_t> keys(count);
    for (size_t q = 0; q < queries; ++q) {
      const auto mine = std::span<const float>(scores).subspan(q * count, count);
      keys.resize(count);
      for (size_t r = 0; r < count; ++r) keys[r] = RankedKey(RankOfScore(mine[r]), static_cast<uint32_t>(r));
      Emit(first + q, keys, mine, sink);
    }
  });
}

absl::StatusOr<CodedSet> CodedSet::Create(const FeatureKey& key, std::span<const Signature> signatures,
                                          std::vector<DeepCode> codes, size_t bits) {
  LIKENESS_CHECK(signatures.size() == codes.size());
  CodedSet set;
  set.key_ = key;
  set.bits_ = bits;
  const size_t dimension = codes.empty() ? 1 : codes[0].vector.size();
  const DeepShape shape{static_cast<uint32_t>(bits), static_cast<uint32_t>(dimension)};
  LIKENESS_ASSIGN_OR_RETURN(SegmentWriter writer, SegmentWriter::Create({{key, shape}}));
  for (size_t i = 0; i < codes.size(); ++i) {
    Fingerprint fingerprint;
    fingerprint.signature = signatures[i];
    fingerprint.width = fingerprint.height = 1;  // Nobody asks for the size of a hit here.
    fingerprint.deep.push_back({key, codes[i]});
    LIKENESS_RETURN_IF_ERROR(writer.Add(fingerprint));
  }
  const auto bytes = std::make_shared<const std::vector<std::byte>>(writer.Seal());
  LIKENESS_ASSIGN_OR_RETURN(set.segment_, Segment::Open(*bytes, bytes));
  set.codes_ = std::move(codes);
  return set;
}

VisualQuery CodedSet::Query(const DeepCode& code) const {
  VisualQuery query;
  query.feature = key_;
  query.code = code;
  return query;
}

size_t CodedSet::refined() const {
  const VisualQuery query;
  const size_t others = codes_.empty() ? 0 : codes_.size() - 1;
  return std::min(others, std::max(query.refine_least, query.refine_factor * query.k));
}

void CodedSet::RankByCode(size_t threads, const RankingSink& sink) const {
  const DeepColumn* column = segment_->deep(key_);
  LIKENESS_CHECK(column != nullptr);
  const size_t count = codes_.size();
  ParallelFor(count, threads, [&](size_t query) {
    std::vector<uint16_t> distances(count);
    HammingDistances({column->codes, column->shape.words()}, codes_[query].code, distances);
    std::vector<uint64_t> keys(count);
    std::vector<float> scores(count);
    for (size_t r = 0; r < count; ++r) {
      keys[r] = RankedKey(distances[r], static_cast<uint32_t>(r));
      scores[r] = ScoreOfDistance(distances[r], bits_);
    }
    Emit(query, keys, scores, sink);
  });
}

absl::Status CodedSet::RankBySearch(size_t threads, const RankingSink& sink) const {
  std::mutex mutex;
  absl::Status failure;  // guarded by mutex
  RankByCode(threads, [&](size_t query, std::span<const uint32_t> by_code, std::span<const float> code_scores) {
    DocSet others = DocSet::All(codes_.size());
    others.Clear(DocId(static_cast<uint32_t>(query)));
    // All candidates that the search refines are asked for, so that the order goes on where the search's answer ends.
    VisualQuery question = Query(codes_[query]);
    question.k = std::max<size_t>(refined(), 1);
    question.refine_least = question.k;
    question.refine_factor = 1;
    SearchStats stats;
    const auto hits = SearchLeaf(*segment_, question, &others, stats);
    if (!hits.ok()) {
      std::lock_guard lock(mutex);
      failure.Update(hits.status());
      return;
    }
    std::vector<uint32_t> rows;
    std::vector<float> scores;
    rows.reserve(by_code.size());
    scores.reserve(by_code.size());
    std::vector<bool> taken(codes_.size());
    for (const Hit& hit : *hits) {
      const auto doc = segment_->Find(hit.signature);
      LIKENESS_CHECK(doc.has_value());
      taken[doc->value()] = true;
      rows.push_back(doc->value());
      scores.push_back(hit.score.value);
    }
    for (size_t i = 0; i < by_code.size(); ++i) {
      if (taken[by_code[i]]) continue;
      rows.push_back(by_code[i]);
      scores.push_back(code_scores[i]);
    }
    sink(query, rows, scores);
  });
  return failure;
}

}  // namespace likeness
