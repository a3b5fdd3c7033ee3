#include "eval/conformity_curve.h"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <memory>
#include <span>
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
constexpr size_t kSteps = 20;
constexpr size_t kLeastResults = 5;

// What a query gets.
struct Asked {
  std::vector<uint8_t> relevant;  // of the hits in the order of look and topic, beside
  std::vector<float> conformity;  // of each
  double answer = 1;              // the conformity of the whole; 1 where nothing can be judged
  double visual = 0;              // P@5 in the order of the look
  double words = 0;               // P@5 where the query's own words have a say
  double nearness = 0;            // mean cosine of the five nearest
  bool first_half = false;
};

// How many results stay: as they come in the order of conformity, what is left out is a tail.
size_t KeptAt(const Asked& asked, double threshold) {
  if (asked.answer < threshold) return 0;
  size_t kept = 0;
  while (kept < asked.conformity.size() && asked.conformity[kept] >= threshold - kConformitySlack) ++kept;
  return kept;
}

ConformityPoint PointAt(std::span<const Asked* const> all, double threshold) {
  ConformityPoint point{threshold};
  std::vector<double> precision, results;
  std::vector<std::pair<double, double>> visual;  // nearness, negated so that the surest sort first, and P@5
  for (const Asked* asked : all) {
    visual.emplace_back(-asked->nearness, asked->visual);
    const size_t kept = KeptAt(*asked, threshold);
    if (kept < kLeastResults) continue;
    precision.push_back(PrecisionAt(asked->relevant, 5));
    results.push_back(static_cast<double>(kept));
  }
  std::ranges::sort(visual);
  std::vector<double> surest;
  for (size_t i = 0; i < precision.size(); ++i) surest.push_back(visual[i].second);
  point.answered = static_cast<double>(precision.size()) / static_cast<double>(std::max<size_t>(all.size(), 1));
  point.p_at_5 = Mean(precision);
  point.results = Mean(results);
  point.visual_p_at_5 = Mean(surest);
  return point;
}

// The threshold that a share of the queries reaches.
double ThresholdFor(std::span<const Asked* const> all, double share) {
  std::vector<double> least;  // up to what threshold a query is answered
  for (const Asked* asked : all) {
    const bool enough = asked->conformity.size() >= kLeastResults;
    least.push_back(enough ? std::min<double>(asked->answer, asked->conformity[kLeastResults - 1] + kConformitySlack)
                           : -1);
  }
  std::ranges::sort(least, std::greater());
  const auto last = static_cast<size_t>(share * static_cast<double>(least.size()));
  return least.empty() ? 0 : std::max(0.0, least[std::min(last, least.size() - 1)]);
}

// One picture asks for all others; it brings no words but where that is said.
absl::Status Ask(const Snapshot& snapshot, const CodedSet& coded, const Relevance& relevance, uint32_t row,
                 Asked& asked) {
  DocSet others = DocSet::All(coded.segment().doc_count());
  others.Clear(DocId(row));
  const AllowedDocs allowed = {std::make_shared<const DocSet>(std::move(others))};
  const auto flags = [&](const std::vector<Hit>& hits) {
    std::vector<uint8_t> relevant;
    for (const Hit& hit : hits) {
      const auto found = coded.segment().Find(hit.signature)->value();
      relevant.push_back(relevance.label(found) == relevance.label(row) ? 1 : 0);
    }
    return relevant;
  };
  VisualQuery query = coded.Query(coded.code(row));
  query.k = kResults;
  LIKENESS_ASSIGN_OR_RETURN(const RootAnswer plain, SearchRoot(snapshot, query, allowed, 1));
  asked.visual = PrecisionAt(flags(plain.hits), 5);
  for (size_t i = 0; i < std::min<size_t>(plain.hits.size(), 5); ++i) {
    asked.nearness += plain.hits[i].evidence.cosine.value / 5;
  }
  query.weights[Signal::kTopic] = 1;
  RootOptions options;
  options.conformity = 0;
  LIKENESS_ASSIGN_OR_RETURN(const RootAnswer root, SearchRoot(snapshot, query, allowed, 1, options));
  asked.relevant = flags(root.hits);
  asked.answer = root.conformity.value_or(1);
  for (const Hit& hit : root.hits) asked.conformity.push_back(hit.evidence.conformity.value_or(1));
  query.weights[Signal::kAnnotation] = 1;
  query.words = AnnotationsOf(snapshot.metadata(0), DocId(row));
  LIKENESS_ASSIGN_OR_RETURN(const RootAnswer own, SearchRoot(snapshot, query, allowed, 1));
  asked.words = PrecisionAt(flags(own.hits), 5);
  asked.first_half = (std::to_integer<uint32_t>(coded.segment().signature(DocId(row)).bytes.back()) & 1) != 0;
  return absl::OkStatus();
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
  ParallelFor(queries.size(), threads,
              [&](size_t q) { failures[q] = Ask(snapshot, coded, relevance, queries[q], all[q]); });
  for (const absl::Status& failure : failures) LIKENESS_RETURN_IF_ERROR(failure);

  std::vector<const Asked*> every, first, second;
  std::vector<double> visual, topic, words, other;
  for (const Asked& asked : all) {
    every.push_back(&asked);
    (asked.first_half ? first : second).push_back(&asked);
    if (!asked.first_half) other.push_back(asked.visual);
    visual.push_back(asked.visual);
    topic.push_back(PrecisionAt(asked.relevant, 5));
    words.push_back(asked.words);
  }
  ConformityReport report;
  report.queries = all.size();
  report.visual_p_at_5 = Mean(visual);
  report.topic_p_at_5 = Mean(topic);
  report.words_p_at_5 = Mean(words);
  for (size_t i = 0; i < kSteps; ++i) report.curve.push_back(PointAt(every, static_cast<double>(i) / kSteps));
  report.at_share = PointAt(every, ThresholdFor(every, kAnsweredShare));
  report.other_half = PointAt(second, ThresholdFor(first, kAnsweredShare));
  report.other_half_visual = Mean(other);
  return report;
}

std::string ConformityReportToText(const ConformityReport& report) {
  char line[240];
  std::snprintf(
      line, sizeof(line),
      "conformity: %zu queries, all answered: P@5 purely visual %.4f, with the topic of the results %.4f, with "
      "the query's own words besides %.4f\n%10s %9s %7s %8s %22s\n",
      report.queries, report.visual_p_at_5, report.topic_p_at_5, report.words_p_at_5, "threshold", "answered", "P@5",
      "results", "visual at that share");
  std::string text = line;
  const auto add = [&](const ConformityPoint& point) {
    std::snprintf(line, sizeof(line), "%10.3f %9.3f %7.4f %8.1f %22.4f\n", point.threshold, point.answered,
                  point.p_at_5, point.results, point.visual_p_at_5);
    text += line;
  };
  for (const ConformityPoint& point : report.curve) add(point);
  text += "where 60 % are answered:\n";
  add(report.at_share);
  std::snprintf(line, sizeof(line),
                "threshold chosen on one half of the queries, judged on the other (purely visual, all: %.4f):\n",
                report.other_half_visual);
  text += line;
  add(report.other_half);
  return text;
}

}  // namespace likeness
