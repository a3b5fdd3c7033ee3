#include "eval/conformity_curve.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <numeric>
#include <utility>

#include "base/thread_pool.h"
#include "catalog/words.h"
#include "eval/metrics.h"
#include "index/metadata.h"
#include "rank/conformity.h"
#include "rank/root.h"

namespace likeness {
namespace {

constexpr size_t kResults = 24;
constexpr size_t kFetched = 2 * kResults + 2 * kConformityNear;  // as the root fetches them
constexpr size_t kSteps = 20;

// A query's results, as they are without a threshold.
struct Asked {
  std::vector<Hit> hits;
  std::vector<uint8_t> relevant;  // beside them
  Conformity conformity;
  double nearness = 0;  // mean cosine of the first five
};

// The first results that stay, of as many as a search shows.
std::vector<uint8_t> Kept(const Asked& asked, double threshold) {
  std::vector<uint8_t> kept;
  const Conformity& conformity = asked.conformity;
  if (conformity.answer && *conformity.answer < threshold) return kept;
  for (size_t i = 0; i < asked.hits.size() && kept.size() < kResults; ++i) {
    if (conformity.answer && (!conformity.hits[i] || *conformity.hits[i] < threshold)) continue;
    kept.push_back(asked.relevant[i]);
  }
  return kept;
}

ConformityPoint PointAt(const std::vector<Asked>& all, std::vector<double> visual_by_nearness, double threshold) {
  ConformityPoint point{threshold};
  std::vector<double> precision, results;
  for (const Asked& asked : all) {
    const std::vector<uint8_t> kept = Kept(asked, threshold);
    if (kept.empty()) continue;
    precision.push_back(PrecisionAt(kept, 5));
    results.push_back(static_cast<double>(kept.size()));
  }
  point.answered = static_cast<double>(precision.size()) / static_cast<double>(std::max<size_t>(all.size(), 1));
  point.p_at_5 = Mean(precision);
  point.results = Mean(results);
  visual_by_nearness.resize(precision.size());
  point.visual_p_at_5 = Mean(visual_by_nearness);
  return point;
}

}  // namespace

absl::StatusOr<ConformityReport> JudgeConformity(const LabelledSet& set, const Relevance& relevance,
                                                 const CodedSet& coded, size_t threads) {
  std::vector<DocumentFacts> facts;
  for (const LabelledPicture& picture : set.pictures) facts.push_back({picture.signature, WordsOf(picture.text), 1});
  LIKENESS_ASSIGN_OR_RETURN(std::vector<std::byte> sealed, SealMetadata(facts));
  const auto bytes = std::make_shared<const std::vector<std::byte>>(std::move(sealed));
  LIKENESS_ASSIGN_OR_RETURN(const auto metadata, Segment::Open(*bytes, bytes));
  const Snapshot snapshot("conformity", {coded.shared_segment()}, {metadata});

  const auto queries = relevance.queries();
  std::vector<Asked> all(queries.size());
  std::vector<absl::Status> failures(queries.size());
  ParallelFor(queries.size(), threads, [&](size_t q) {
    DocSet others = DocSet::All(set.pictures.size());
    others.Clear(DocId(queries[q]));
    VisualQuery query = coded.Query(coded.code(queries[q]));
    query.k = kFetched;
    query.traits.words = true;
    auto answer = AnswerLeaf(snapshot, query, {std::make_shared<const DocSet>(std::move(others))}, 1);
    failures[q] = answer.status();
    if (!answer.ok()) return;
    Asked& asked = all[q];
    asked.hits = std::move(answer->hits);
    asked.conformity = ConformityOf(asked.hits);
    for (size_t i = 0; i < asked.hits.size(); ++i) {
      const auto row = coded.segment().Find(asked.hits[i].signature)->value();
      asked.relevant.push_back(relevance.label(row) == relevance.label(queries[q]) ? 1 : 0);
      if (i < 5) asked.nearness += asked.hits[i].evidence.cosine.value / 5;
      asked.hits[i].traits = {};
    }
  });
  for (const absl::Status& failure : failures) LIKENESS_RETURN_IF_ERROR(failure);

  std::vector<size_t> order(all.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, [&](size_t a, size_t b) { return all[a].nearness > all[b].nearness; });
  std::vector<double> visual, answers;
  for (const size_t i : order) visual.push_back(PrecisionAt(all[i].relevant, 5));
  for (const Asked& asked : all) answers.push_back(asked.conformity.answer.value_or(1));
  ConformityReport report;
  report.queries = all.size();
  report.visual_p_at_5 = Mean(visual);
  for (size_t i = 0; i < kSteps; ++i) {
    report.curve.push_back(PointAt(all, visual, static_cast<double>(i) / kSteps));
  }
  // The threshold that so many answers reach.
  std::ranges::sort(answers, std::greater());
  const auto last = static_cast<size_t>(kAnsweredShare * static_cast<double>(answers.size()));
  report.at_share = PointAt(all, visual, answers.empty() ? 0 : answers[std::min(last, answers.size() - 1)]);
  return report;
}

std::string ConformityReportToText(const ConformityReport& report) {
  char line[200];
  std::snprintf(line, sizeof(line), "conformity: %zu queries, P@5 purely visual %.4f\n%10s %9s %7s %8s %22s\n",
                report.queries, report.visual_p_at_5, "threshold", "answered", "P@5", "results",
                "visual at that share");
  std::string text = line;
  const auto add = [&](const ConformityPoint& point) {
    std::snprintf(line, sizeof(line), "%10.3f %9.3f %7.4f %8.1f %22.4f\n", point.threshold, point.answered,
                  point.p_at_5, point.results, point.visual_p_at_5);
    text += line;
  };
  for (const ConformityPoint& point : report.curve) add(point);
  text += "where 60 % are answered:\n";
  add(report.at_share);
  return text;
}

}  // namespace likeness
