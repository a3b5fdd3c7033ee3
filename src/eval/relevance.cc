#include "eval/relevance.h"

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/random.h"
#include "eval/conformity_curve.h"
#include "eval/judge.h"
#include "eval/picture_encoder.h"
#include "eval/set_vectors.h"
#include "image/decode.h"
#include "image/encode.h"
#include "kernel/dot.h"
#include "kernel/top_k.h"

namespace likeness {
namespace {

constexpr size_t kWarmUp = 5;  // queries before the clock counts
constexpr uint32_t kThumbnailSide = 160;

// A model on its way through the evaluation.
struct Candidate {
  std::string name;
  std::string licence;
  bool baseline = false;
  std::unique_ptr<PictureEncoder> encoder;        // for many pictures: a thread each
  std::unique_ptr<PictureEncoder> query_encoder;  // for one picture: all threads on it; may be null: the same
  SetVectors vectors;
  double images_per_second = 0;

  const PictureEncoder& for_query() const { return query_encoder == nullptr ? *encoder : *query_encoder; }
};

absl::Status Validate(const RelevanceOptions& options) {
  if (options.data.empty() == options.labels.empty()) {
    return absl::InvalidArgumentError("name either a folder of labelled pictures or a file of labels, not both");
  }
  if (!options.words.empty() && options.labels.empty()) {
    return absl::InvalidArgumentError("what people wrote stands in a file of labels: give one");
  }
  if (!options.labels.empty() && options.field.empty()) {
    return absl::InvalidArgumentError("name the field of " + options.labels.string() + " that is the label");
  }
  if (options.code_bits.empty()) return absl::InvalidArgumentError("name at least one length of codes");
  for (const size_t bits : options.code_bits) {
    if (bits > 4096) {
      return absl::InvalidArgumentError("codes have at most 4096 bits, not " + std::to_string(bits));
    }
  }
  if (options.threads == 0 || options.bootstrap.resamples == 0 || !(options.bootstrap.confidence > 0) ||
      !(options.bootstrap.confidence < 1)) {
    return absl::InvalidArgumentError("threads and resamples are above 0, confidence is between 0 and 1");
  }
  if (options.bars && options.models.empty()) {
    return absl::InvalidArgumentError("bars are held against the first model: name one");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Candidate>> LoadCandidates(const RelevanceOptions& options) {
  std::vector<Candidate> candidates;
  for (const ModelFiles& model : options.models) {
    Candidate candidate;
    candidate.name = model.card.name;
    candidate.licence = model.card.licence;
    DeepOptions deep{.layer = options.layer, .threads = 1, .fit = options.fit};
    LIKENESS_ASSIGN_OR_RETURN(auto extractor, DeepExtractor::Create(model, deep));
    candidate.encoder = MakeDeepEncoder(std::move(extractor));
    if (options.latency_queries > 0 && options.threads > 1) {
      deep.threads = options.threads;
      LIKENESS_ASSIGN_OR_RETURN(auto for_query, DeepExtractor::Create(model, deep));
      candidate.query_encoder = MakeDeepEncoder(std::move(for_query));
    }
    candidates.push_back(std::move(candidate));
  }
  Candidate baseline;
  baseline.name = "hsv_histogram";
  baseline.baseline = true;
  baseline.encoder = MakeHsvHistogram();
  candidates.push_back(std::move(baseline));
  return candidates;
}

absl::Status ComputeAll(const RelevanceOptions& options, const LabelledSet& set, std::vector<Candidate>& candidates,
                        const RelevanceProgress& progress) {
  VectorCache cache;
  if (!options.cache.empty()) {
    LIKENESS_ASSIGN_OR_RETURN(cache, VectorCache::Read(options.cache));
  }
  for (Candidate& candidate : candidates) {
    const std::string stage = "vectors " + candidate.name;
    Stopwatch watch;
    size_t computed = 0;
    const PictureProgress pictures = [&](size_t done, size_t total) {
      if (computed == 0) computed = total - done;
      if (progress) progress(stage, done, total);
    };
    LIKENESS_ASSIGN_OR_RETURN(candidate.vectors,
                              ComputeVectors(set, *candidate.encoder, options.limits, options.threads,
                                             options.cache.empty() ? nullptr : &cache, pictures));
    if (computed == set.pictures.size()) {
      candidate.images_per_second = 1000 * static_cast<double>(computed) / watch.Milliseconds();
    } else if (computed == 0) {
      continue;
    }
    if (!options.cache.empty()) LIKENESS_RETURN_IF_ERROR(cache.Write(options.cache));
  }
  return absl::OkStatus();
}

// Pictures that some encoder could not get, out of the set and out of every table.
void DropUnreadable(LabelledSet& set, std::vector<Candidate>& candidates) {
  std::vector<bool> drop(set.pictures.size());
  std::set<std::string> reported;
  for (const Candidate& candidate : candidates) {
    for (size_t i = 0; i < drop.size(); ++i) drop[i] = drop[i] || candidate.vectors.unreadable[i];
    for (const LabelledSet::Problem& problem : candidate.vectors.problems) {
      if (reported.insert(problem.source).second) set.problems.push_back(problem);
    }
  }
  std::ranges::sort(set.problems, {}, &LabelledSet::Problem::source);
  set.Drop(drop);
  for (Candidate& candidate : candidates) candidate.vectors.Drop(drop);
}

struct Latencies {
  QueryLatency plain, binary;
};

// One picture after another, as queries come: extraction on all threads, retrieval on one.
absl::StatusOr<Latencies> TimeQueries(const RelevanceOptions& options, const LabelledSet& set,
                                      const Candidate& candidate, const Judgement& judgement,
                                      const RelevanceProgress& progress) {
  const PictureEncoder& encoder = candidate.for_query();
  const size_t dimension = candidate.vectors.dimension;
  const std::vector<float> unit = UnitVectors(candidate.vectors.values, dimension, false);
  const CodedSet& coded = judgement.coded.back();
  const Binarizer& binarizer = judgement.binarizers.back();
  const size_t k = VisualQuery().k;
  Random random(options.bootstrap.seed);
  std::vector<double> extraction, plain, binary, plain_total, binary_total;
  std::vector<float> scores(set.pictures.size());
  std::vector<float> vector(dimension);
  for (size_t i = 0; i < options.latency_queries + kWarmUp; ++i) {
    const size_t row = random.Below(set.pictures.size());
    LIKENESS_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(set.pictures[row].path, options.limits.max_bytes));
    Stopwatch watch;
    LIKENESS_ASSIGN_OR_RETURN(const Pixels pixels, DecodeImage(AsBytes(bytes), options.limits, encoder.decode_size()));
    LIKENESS_RETURN_IF_ERROR(encoder.Encode({&pixels, 1}, vector));
    const double extraction_ms = watch.Milliseconds();

    watch.Restart();
    const std::vector<float> query = UnitVectors(vector, dimension, false);
    MatVec(unit, query, scores);
    TopK best(k);
    for (size_t r = 0; r < scores.size(); ++r) best.Offer(RankedKey(RankOfScore(scores[r]), static_cast<uint32_t>(r)));
    const bool found = !best.TakeSorted().empty();
    const double plain_ms = watch.Milliseconds();

    watch.Restart();
    SearchStats stats;
    LIKENESS_ASSIGN_OR_RETURN(const auto hits,
                              SearchLeaf(coded.segment(), coded.Query(binarizer.Encode(vector)), nullptr, stats));
    const double binary_ms = watch.Milliseconds();
    LIKENESS_CHECK(found && !hits.empty());

    if (progress) progress("latency " + candidate.name, i + 1, options.latency_queries + kWarmUp);
    if (i < kWarmUp) continue;
    extraction.push_back(extraction_ms);
    plain.push_back(plain_ms);
    binary.push_back(binary_ms);
    plain_total.push_back(extraction_ms + plain_ms);
    binary_total.push_back(extraction_ms + binary_ms);
  }
  const auto percentiles = [](const std::vector<double>& values) {
    return Percentiles{Quantile(values, 0.5), Quantile(values, 0.99)};
  };
  return Latencies{{percentiles(plain_total), percentiles(extraction), percentiles(plain)},
                   {percentiles(binary_total), percentiles(extraction), percentiles(binary)}};
}

ExampleRow::Picture Show(const RelevanceOptions& options, const LabelledSet& set, size_t row, float score,
                         bool relevant) {
  const LabelledPicture& picture = set.pictures[row];
  ExampleRow::Picture shown{picture.path.string(), picture.label, score, relevant, {}};
  const auto bytes = ReadFile(picture.path, options.limits.max_bytes);
  if (!bytes.ok()) return shown;
  auto jpeg = MakeThumbnail(AsBytes(*bytes), options.limits, kThumbnailSide);
  if (jpeg.ok()) shown.jpeg = *std::move(jpeg);
  return shown;
}

// The best and the worst queries by P@10 and then average precision, of different classes while there are some, and
// between them a few by lot.
std::vector<ExampleRow> ChooseExamples(const RelevanceOptions& options, const LabelledSet& set,
                                       const Relevance& relevance, const Judgement& judgement) {
  const auto queries = relevance.queries();
  std::vector<uint32_t> order(queries.size());
  for (uint32_t q = 0; q < order.size(); ++q) order[q] = q;
  std::ranges::sort(order, {},
                    [&](uint32_t q) { return std::tuple(-judgement.search.p_at_10[q], -judgement.search.ap[q], q); });
  std::set<uint32_t> chosen;
  std::vector<ExampleRow> rows;
  const auto add = [&](std::string_view kind, const std::vector<uint32_t>& from) {
    const size_t wanted = rows.size() + options.examples;
    std::set<uint32_t> shown_labels;
    for (const bool any_label : {false, true}) {
      for (const uint32_t q : from) {
        if (rows.size() >= wanted) return;
        const uint32_t row = queries[q];
        if (chosen.contains(q) || (!any_label && !shown_labels.insert(relevance.label(row)).second)) continue;
        chosen.insert(q);
        ExampleRow example;
        example.kind = std::string(kind);
        example.average_precision = judgement.search.ap[q];
        example.query = Show(options, set, row, 1, true);
        const Relevance::First& first = judgement.first[q];
        for (size_t i = 0; i < first.rows.size(); ++i) {
          const bool relevant = relevance.label(first.rows[i]) == relevance.label(row);
          example.results.push_back(Show(options, set, first.rows[i], first.scores[i], relevant));
        }
        rows.push_back(std::move(example));
      }
    }
  };
  add("good", order);
  std::vector<uint32_t> drawn = order;
  Random random(options.bootstrap.seed);
  for (size_t i = drawn.size(); i > 1; --i) std::swap(drawn[i - 1], drawn[random.Below(i)]);
  add("drawn", drawn);
  std::ranges::reverse(order);
  add("worst", order);
  return rows;
}

// Figures of every model; bars for the first one alone.
std::vector<BarResult> ListResults(const RelevanceReport& report, const std::optional<RelevanceBars>& bars) {
  std::vector<BarResult> results;
  for (size_t i = 0; i < report.models.size(); ++i) {
    const ModelReport& model = report.models[i];
    const bool held = bars.has_value() && i == 0;
    const auto add = [&](const std::string& figure, double value, double bar, bool higher) {
      results.push_back({model.name + "." + figure, value, "share", held ? std::optional(bar) : std::nullopt, higher});
    };
    const RelevanceBars bar = bars.value_or(RelevanceBars());
    const std::string code = "binary_" + std::to_string(model.binary().bits);
    add("p_at_1", model.plain.p_at_1.value, bar.p_at_1, true);
    add("map", model.plain.map.value, bar.map, true);
    add(code + ".p_at_1_loss", model.binary().search_loss.p_at_1.value, bar.p_at_1_loss, false);
    add(code + ".map_loss", model.binary().search_loss.map.value, bar.map_loss, false);
  }
  return results;
}

}  // namespace

bool RelevanceReport::ok() const { return std::ranges::all_of(results, &BarResult::ok); }

absl::StatusOr<RelevanceReport> EvaluateRelevance(const RelevanceOptions& options, const RelevanceProgress& progress) {
  LIKENESS_RETURN_IF_ERROR(Validate(options));
  LIKENESS_ASSIGN_OR_RETURN(std::vector<Candidate> candidates, LoadCandidates(options));
  LIKENESS_ASSIGN_OR_RETURN(LabelledSet set, options.labels.empty() ? ReadLabelledFolder(options.data, options.limits)
                                                                    : ReadLabelledLines(options.labels, options.field,
                                                                                        options.limits, options.words));
  LIKENESS_RETURN_IF_ERROR(ComputeAll(options, set, candidates, progress));
  DropUnreadable(set, candidates);
  const Relevance relevance(set);
  if (relevance.queries().empty()) {
    return absl::InvalidArgumentError("no readable picture has another with the same label");
  }

  RelevanceReport report;
  report.data = (options.labels.empty() ? options.data : options.labels).string();
  report.field = options.labels.empty() ? "" : options.field;
  report.labels = set.labels;
  report.pictures = set.pictures.size();
  report.queries = relevance.queries().size();
  report.without_relevant = report.pictures - report.queries;
  report.duplicates = set.duplicates;
  report.unlabelled = set.unlabelled;
  report.unreadable = set.problems;
  report.resamples = options.bootstrap.resamples;
  report.confidence = options.bootstrap.confidence;
  report.latency_queries = options.latency_queries;
  report.threads = options.threads;
  for (size_t i = 0; i < candidates.size(); ++i) {
    Candidate& candidate = candidates[i];
    size_t step = 0;
    const size_t steps = 2 + std::set(options.code_bits.begin(), options.code_bits.end()).size();
    LIKENESS_ASSIGN_OR_RETURN(Judgement judgement,
                              JudgeVectors(set, relevance, candidate.encoder->key(), candidate.vectors.values,
                                           candidate.vectors.dimension, options, [&](std::string_view what) {
                                             if (progress)
                                               progress("judging " + candidate.name + ": " + std::string(what), step,
                                                        steps);
                                             ++step;
                                           }));
    ModelReport& model = judgement.report;
    model.name = candidate.name;
    model.licence = candidate.licence;
    model.baseline = candidate.baseline;
    model.images_per_second = candidate.images_per_second;
    if (options.latency_queries > 0) {
      LIKENESS_ASSIGN_OR_RETURN(const Latencies latencies, TimeQueries(options, set, candidate, judgement, progress));
      model.latency = latencies.plain;
      model.binary_latency = latencies.binary;
    }
    if (i == 0) {
      report.refined = judgement.coded.back().refined();
      if (!options.words.empty()) {
        LIKENESS_ASSIGN_OR_RETURN(ConformityReport conformity,
                                  JudgeConformity(set, relevance, judgement.coded.back(), options.threads));
        report.conformity = std::make_shared<const ConformityReport>(std::move(conformity));
      }
      report.examples = ChooseExamples(options, set, relevance, judgement);
    }
    report.models.push_back(std::move(model));
    candidate.vectors = {};  // The next one needs the memory.
  }
  report.results = ListResults(report, options.bars);
  if (report.conformity != nullptr) {
    BarResult gain;
    gain.name = "conformity: P@5 above purely visual where 60 % are answered";
    gain.value = report.conformity->at_share.p_at_5 - report.conformity->visual_p_at_5;
    gain.unit = "precision";
    if (options.bars) gain.bar = kConformityGain;
    report.results.push_back(std::move(gain));
  }
  return report;
}

}  // namespace likeness
