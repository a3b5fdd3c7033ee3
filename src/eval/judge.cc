#include "eval/judge.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/thread_pool.h"

namespace likeness {
namespace {

Estimate EstimateOf(std::span<const double> values, const BootstrapOptions& options) {
  return {Mean(values), BootstrapMean(values, options)};
}

Quality QualityOf(const QueryScores& scores, const BootstrapOptions& options) {
  Quality quality;
  quality.p_at_1 = EstimateOf(scores.p_at_1, options);
  quality.p_at_5 = EstimateOf(scores.p_at_5, options);
  quality.p_at_10 = EstimateOf(scores.p_at_10, options);
  quality.map = EstimateOf(scores.ap, options);
  quality.precision = scores.precision;
  for (double& value : quality.precision) value /= static_cast<double>(std::max<size_t>(scores.ap.size(), 1));
  return quality;
}

Estimate Difference(std::span<const double> from, std::span<const double> to, const BootstrapOptions& options) {
  std::vector<double> difference(from.size());
  std::ranges::transform(from, to, difference.begin(), std::minus<>());
  return EstimateOf(difference, options);
}

Loss LossOf(const QueryScores& reference, const QueryScores& scores, const BootstrapOptions& options) {
  return {Difference(reference.p_at_1, scores.p_at_1, options), Difference(reference.p_at_10, scores.p_at_10, options),
          Difference(reference.ap, scores.ap, options)};
}

std::vector<ClassReport> ByClass(const LabelledSet& set, const Relevance& relevance, const QueryScores& plain,
                                 const QueryScores& search) {
  std::vector<ClassReport> classes(set.labels.size());
  for (size_t label = 0; label < classes.size(); ++label) classes[label].label = set.labels[label];
  for (const LabelledPicture& picture : set.pictures) ++classes[picture.label].pictures;
  const auto queries = relevance.queries();
  for (size_t q = 0; q < queries.size(); ++q) {
    ClassReport& mine = classes[relevance.label(queries[q])];
    ++mine.queries;
    mine.p_at_1 += plain.p_at_1[q];
    mine.p_at_10 += plain.p_at_10[q];
    mine.map += plain.ap[q];
    mine.binary_p_at_1 += search.p_at_1[q];
    mine.binary_p_at_10 += search.p_at_10[q];
    mine.binary_map += search.ap[q];
  }
  for (ClassReport& mine : classes) {
    const auto count = static_cast<double>(std::max<size_t>(mine.queries, 1));
    for (double* sum :
         {&mine.p_at_1, &mine.p_at_10, &mine.map, &mine.binary_p_at_1, &mine.binary_p_at_10, &mine.binary_map}) {
      *sum /= count;
    }
  }
  return classes;
}

}  // namespace

Relevance::Relevance(const LabelledSet& set) : of_label_(set.labels.size()) {
  for (const LabelledPicture& picture : set.pictures) {
    labels_.push_back(picture.label);
    ++of_label_[picture.label];
  }
  number_.assign(rows(), static_cast<uint32_t>(rows()));
  for (uint32_t row = 0; row < rows(); ++row) {
    if (of_label_[labels_[row]] < 2) continue;
    number_[row] = static_cast<uint32_t>(queries_.size());
    queries_.push_back(row);
  }
}

absl::StatusOr<QueryScores> Relevance::Judge(const std::function<absl::Status(const RankingSink&)>& rank,
                                             std::vector<First>* first) const {
  const size_t count = queries_.size();
  QueryScores scores;
  for (auto* column : {&scores.p_at_1, &scores.p_at_5, &scores.p_at_10, &scores.ap}) column->resize(count);
  if (first != nullptr) first->assign(count, {});
  std::vector<uint8_t> found(count * kCurveLength);  // each query's first flags, written by its own call alone
  LIKENESS_RETURN_IF_ERROR(rank([&](size_t query, std::span<const uint32_t> rows, std::span<const float> values) {
    const size_t q = number_[query];
    if (q >= count) return;
    std::vector<uint8_t> relevant(rows.size());
    for (size_t i = 0; i < rows.size(); ++i) relevant[i] = labels_[rows[i]] == labels_[query];
    scores.p_at_1[q] = PrecisionAt(relevant, 1);
    scores.p_at_5[q] = PrecisionAt(relevant, 5);
    scores.p_at_10[q] = PrecisionAt(relevant, 10);
    scores.ap[q] = AveragePrecision(relevant, of_label_[labels_[query]] - 1);
    std::copy_n(relevant.begin(), std::min(kCurveLength, relevant.size()), &found[q * kCurveLength]);
    if (first != nullptr) {
      const size_t kept = std::min(kExampleResults, rows.size());
      (*first)[q] = {{rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(kept)},
                     {values.begin(), values.begin() + static_cast<std::ptrdiff_t>(kept)}};
    }
  }));
  scores.precision.assign(kCurveLength, 0);
  for (size_t q = 0; q < count; ++q) {
    size_t sum = 0;
    for (size_t i = 0; i < kCurveLength; ++i) {
      sum += found[q * kCurveLength + i];
      scores.precision[i] += static_cast<double>(sum) / static_cast<double>(i + 1);
    }
  }
  return scores;
}

absl::StatusOr<Judgement> JudgeVectors(const LabelledSet& set, const Relevance& relevance, const FeatureKey& key,
                                       std::span<const float> values, size_t dimension, const RelevanceOptions& options,
                                       const std::function<void(std::string_view)>& stage) {
  LIKENESS_CHECK(values.size() == set.pictures.size() * dimension);
  const auto by_cosine = [&](bool centred) {
    return relevance.Judge([&, unit = UnitVectors(values, dimension, centred)](const RankingSink& sink) {
      RankByCosine(unit, dimension, options.threads, sink);
      return absl::OkStatus();
    });
  };
  Judgement judgement;
  ModelReport& report = judgement.report;
  report.feature = key.ToString();
  report.dimension = dimension;
  stage("float");
  LIKENESS_ASSIGN_OR_RETURN(const QueryScores plain, by_cosine(false));
  stage("centred");
  LIKENESS_ASSIGN_OR_RETURN(const QueryScores centred, by_cosine(true));
  report.plain = QualityOf(plain, options.bootstrap);
  report.centred = QualityOf(centred, options.bootstrap);

  std::vector<Signature> signatures;
  for (const LabelledPicture& picture : set.pictures) signatures.push_back(picture.signature);
  std::set<size_t> lengths;  // in bits, as the binarizer makes them
  for (const size_t bits : options.code_bits) lengths.insert(((bits == 0 ? dimension : bits) + 63) / 64 * 64);
  for (const size_t bits : lengths) {
    stage("codes of " + std::to_string(bits) + " bits");
    judgement.binarizers.push_back(Binarizer::Train(values, dimension, bits, options.code_seed, options.rotation));
    const Binarizer& binarizer = judgement.binarizers.back();
    std::vector<DeepCode> codes(signatures.size());
    ParallelFor(codes.size(), options.threads,
                [&](size_t i) { codes[i] = binarizer.Encode(values.subspan(i * dimension, dimension)); });
    LIKENESS_ASSIGN_OR_RETURN(CodedSet coded, CodedSet::Create(key, signatures, std::move(codes), bits));
    const bool longest = bits == *lengths.rbegin();
    LIKENESS_ASSIGN_OR_RETURN(
        QueryScores search,
        relevance.Judge([&](const RankingSink& sink) { return coded.RankBySearch(options.threads, sink); },
                        longest ? &judgement.first : nullptr));
    LIKENESS_ASSIGN_OR_RETURN(const QueryScores hamming, relevance.Judge([&](const RankingSink& sink) {
      coded.RankByCode(options.threads, sink);
      return absl::OkStatus();
    }));
    CodeReport code;
    code.bits = bits;
    code.search = QualityOf(search, options.bootstrap);
    code.hamming = QualityOf(hamming, options.bootstrap);
    code.search_loss = LossOf(plain, search, options.bootstrap);
    code.hamming_loss = LossOf(plain, hamming, options.bootstrap);
    code.search_loss_to_centred = LossOf(centred, search, options.bootstrap);
    report.codes.push_back(std::move(code));
    judgement.coded.push_back(std::move(coded));
    if (longest) judgement.search = std::move(search);
  }
  report.classes = ByClass(set, relevance, plain, judgement.search);
  report.confusion.assign(set.labels.size() * set.labels.size(), 0);
  for (size_t q = 0; q < relevance.queries().size(); ++q) {
    if (judgement.first[q].rows.empty()) continue;
    const size_t asked = relevance.label(relevance.queries()[q]);
    ++report.confusion[asked * set.labels.size() + relevance.label(judgement.first[q].rows[0])];
  }
  return judgement;
}

}  // namespace likeness
