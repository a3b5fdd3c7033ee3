#include "eval/floor.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "base/bytes.h"
#include "base/random.h"
#include "base/thread_pool.h"
#include "eval/noise.h"
#include "eval/picture_encoder.h"
#include "eval/ranking.h"
#include "eval/set_vectors.h"
#include "feature/binarizer.h"
#include "kernel/half.h"
#include "learn/logistic.h"
#include "rank/root.h"

namespace likeness {
namespace {

constexpr uint32_t kNoLabel = std::numeric_limits<uint32_t>::max();
constexpr double kQuarter = 0.25;
constexpr size_t kWithheldRounds = 12;
constexpr size_t kInputs[] = {static_cast<size_t>(FloorInput::kCosine), static_cast<size_t>(FloorInput::kNearby),
                              static_cast<size_t>(FloorInput::kCohesion)};
constexpr double kBar = 0.9;

// A picture on its way through the evaluation.
struct Item {
  Signature signature;
  std::vector<float> vector;
  uint32_t set = 0;           // index into Pictures::names
  uint32_t label = kNoLabel;  // over all sets; kNoLabel where nothing in the collection is like it
};

struct Pictures {
  std::vector<std::string> names;  // of sets: the labelled ones first
  size_t labelled = 0;
  FeatureKey key;
  size_t dimension = 0;
  std::vector<Item> items;
};

uint64_t Draw(const Signature& signature, uint64_t seed, std::string_view what) {
  return Checksum(AsBytes(signature.Hex() + std::to_string(seed) + std::string(what)));
}
bool Chosen(const Signature& signature, uint64_t seed, std::string_view what, double share) {
  return static_cast<double>(Draw(signature, seed, what) >> 11) * 0x1.0p-53 < share;
}

std::string NameOf(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  const std::string stem = path.stem().string();
  return name.empty() ? path.parent_path().filename().string() : stem;
}

absl::StatusOr<LabelledSet> ReadSet(const std::string& spec, const ImageLimits& limits, std::string& name) {
  const size_t colon = spec.rfind(':');
  const std::string file = spec.substr(0, colon);
  if (colon != std::string::npos && file.ends_with(".jsonl")) {
    name = NameOf(file);
    return ReadLabelledLines(file, spec.substr(colon + 1), limits);
  }
  name = NameOf(spec);
  return ReadLabelledFolder(spec, limits);
}

absl::Status AddSet(const LabelledSet& set, const SetVectors& vectors, bool labelled, uint32_t first_label,
                    Pictures& pictures) {
  const auto number = static_cast<uint32_t>(pictures.names.size() - 1);
  for (size_t i = 0; i < set.pictures.size(); ++i) {
    if (vectors.unreadable[i]) continue;
    const auto row = vectors.row(i);
    pictures.items.push_back({set.pictures[i].signature,
                              {row.begin(), row.end()},
                              number,
                              labelled ? first_label + set.pictures[i].label : kNoLabel});
  }
  return absl::OkStatus();
}

// Pictures whose vectors are known are the first set.
uint32_t AddKnown(const FloorSet& known, Pictures& pictures) {
  pictures.names.push_back(known.name);
  pictures.key = known.feature;
  pictures.dimension = known.dimension;
  uint32_t labels = 0;
  for (size_t i = 0; i < known.signatures.size(); ++i) {
    const auto row = std::span(known.values).subspan(i * known.dimension, known.dimension);
    pictures.items.push_back({known.signatures[i], {row.begin(), row.end()}, 0, known.labels[i]});
    labels = std::max(labels, known.labels[i] + 1);
  }
  return labels;
}

absl::StatusOr<std::unique_ptr<PictureEncoder>> EncoderFor(const FloorEvalOptions& options) {
  LIKENESS_ASSIGN_OR_RETURN(auto extractor, DeepExtractor::Create(options.model, DeepOptions{.threads = 1}));
  std::unique_ptr<PictureEncoder> encoder = MakeDeepEncoder(std::move(extractor));
  if (options.known && options.known->feature != encoder->key()) {
    return absl::InvalidArgumentError("the collection is compared by " + options.known->feature.ToString() +
                                      ", not by " + encoder->key().ToString() + ": name its model with --model");
  }
  return encoder;
}

absl::StatusOr<Pictures> LoadPictures(const FloorEvalOptions& options, const RelevanceProgress& progress) {
  if (options.sets.empty() && !options.known) {
    return absl::InvalidArgumentError("name at least one labelled set with --set");
  }
  if (!(options.keep > 0 && options.keep < 1))
    return absl::InvalidArgumentError("the share to keep is between 0 and 1");
  Pictures pictures;
  uint32_t labels = options.known ? AddKnown(*options.known, pictures) : 0;
  pictures.labelled = pictures.names.size() + options.sets.size();
  std::unique_ptr<PictureEncoder> encoder;
  if (!options.sets.empty() || !options.unmatched.empty() || options.noise > 0) {
    LIKENESS_ASSIGN_OR_RETURN(encoder, EncoderFor(options));
    pictures.key = encoder->key();
    pictures.dimension = encoder->dimension();
  }
  VectorCache cache;
  if (!options.cache.empty()) {
    LIKENESS_ASSIGN_OR_RETURN(cache, VectorCache::Read(options.cache));
  }
  for (size_t i = 0; i < options.sets.size() + options.unmatched.size(); ++i) {
    const bool labelled = i < options.sets.size();
    std::string name;
    LIKENESS_ASSIGN_OR_RETURN(const LabelledSet set,
                              ReadSet(labelled ? options.sets[i] : options.unmatched[i - options.sets.size()].string(),
                                      options.limits, name));
    LIKENESS_ASSIGN_OR_RETURN(const SetVectors vectors,
                              ComputeVectors(set, *encoder, options.limits, options.threads,
                                             options.cache.empty() ? nullptr : &cache, [&](size_t done, size_t total) {
                                               if (progress) progress("vectors " + name, done, total);
                                             }));
    if (!options.cache.empty()) LIKENESS_RETURN_IF_ERROR(cache.Write(options.cache));
    pictures.names.push_back(name);
    LIKENESS_RETURN_IF_ERROR(AddSet(set, vectors, labelled, labels, pictures));
    if (labelled) labels += static_cast<uint32_t>(set.labels.size());
  }
  if (options.noise > 0) {
    pictures.names.push_back("noise");
    const auto number = static_cast<uint32_t>(pictures.names.size() - 1);
    std::vector<std::vector<float>> vectors(options.noise, std::vector<float>(pictures.dimension));
    std::vector<absl::Status> failures(options.noise);
    ParallelFor(options.noise, options.threads, [&](size_t i) {
      const Pixels pixels = NoisePicture(options.seed, i);
      failures[i] = encoder->Encode({&pixels, 1}, vectors[i]);
      std::vector<uint16_t> halves(pictures.dimension);
      FloatToHalf(vectors[i], halves);
      HalfToFloat(halves, vectors[i]);
    });
    for (size_t i = 0; i < options.noise; ++i) {
      LIKENESS_RETURN_IF_ERROR(failures[i]);
      pictures.items.push_back(
          {Signature::Of(AsBytes("noise " + std::to_string(i))), std::move(vectors[i]), number, kNoLabel});
    }
  }
  // A picture that two sets share belongs to the first.
  std::ranges::stable_sort(pictures.items, {}, &Item::signature);
  const auto twice = std::ranges::unique(pictures.items, {}, &Item::signature);
  pictures.items.erase(twice.begin(), twice.end());
  return pictures;
}

// A sealed collection with what encodes queries for it.
struct Collection {
  std::vector<const Item*> items;  // by DocId
  std::optional<Binarizer> binarizer;
  std::shared_ptr<const Snapshot> snapshot;
  std::map<Signature, const Item*> by_signature;
};

absl::StatusOr<Collection> MakeCollection(const Pictures& pictures, std::vector<const Item*> items,
                                          const FloorEvalOptions& options) {
  Collection collection;
  std::vector<float> values;
  for (const Item* item : items) values.insert(values.end(), item->vector.begin(), item->vector.end());
  collection.binarizer = Binarizer::Train(values, pictures.dimension, options.code_bits, RelevanceOptions().code_seed);
  std::vector<Signature> signatures;
  std::vector<DeepCode> codes(items.size());
  ParallelFor(items.size(), options.threads,
              [&](size_t i) { codes[i] = collection.binarizer->Encode(items[i]->vector); });
  for (const Item* item : items) {
    signatures.push_back(item->signature);
    collection.by_signature.emplace(item->signature, item);
  }
  LIKENESS_ASSIGN_OR_RETURN(const CodedSet coded,
                            CodedSet::Create(pictures.key, signatures, std::move(codes), collection.binarizer->bits()));
  collection.snapshot = std::make_shared<const Snapshot>("floor", std::vector{coded.shared_segment()});
  collection.items = std::move(items);
  return collection;
}

// What a query's hits look like to a floor.
struct Asked {
  const Item* query = nullptr;
  std::vector<FloorInputs> inputs;  // of each hit
  std::vector<uint8_t> relevant;    // beside them
};

absl::StatusOr<std::vector<Asked>> Ask(const Pictures& pictures, const Collection& collection,
                                       const std::vector<const Item*>& queries, const DocSet* allowed,
                                       const FloorEvalOptions& options) {
  // A model that weighs nothing, so that the root fetches what it would for any.
  const auto model = std::make_shared<const FloorModel>(*FloorModel::Create({}));
  AllowedDocs docs;
  if (allowed != nullptr) docs.push_back(std::make_shared<const DocSet>(*allowed));
  std::vector<Asked> asked(queries.size());
  std::vector<absl::Status> failures(queries.size());
  ParallelFor(queries.size(), options.threads, [&](size_t i) {
    VisualQuery query;
    query.feature = pictures.key;
    query.code = collection.binarizer->Encode(queries[i]->vector);
    query.k = options.k;
    query.traits.code = true;
    auto leaf = AnswerLeaf(*collection.snapshot, query, docs, 1);
    failures[i] = leaf.status();
    if (!leaf.ok()) return;
    asked[i].query = queries[i];
    const auto inputs = FloorInputsOf(leaf->hits, leaf->background);
    for (size_t h = 0; h < leaf->hits.size(); ++h) {
      const Item& hit = *collection.by_signature.at(leaf->hits[h].signature);
      asked[i].inputs.push_back(*inputs[h]);
      asked[i].relevant.push_back(queries[i]->label != kNoLabel && hit.label == queries[i]->label ? 1 : 0);
    }
  });
  for (const absl::Status& failure : failures) LIKENESS_RETURN_IF_ERROR(failure);
  return asked;
}

struct Calibration {
  FloorModel model;
  size_t examples = 0;
};

// What to add to the bias for probabilities to be right where a query has a match as often as not. The fit sees more
// queries without one than with, since it is they that teach it what to refuse. The first `plain` examples are of
// queries with all labels there.
double BiasShift(const LogisticFit& fit, const std::vector<double>& rows, const std::vector<uint8_t>& labels,
                 const std::vector<double>& importance, size_t plain) {
  const size_t columns = fit.weights.size();
  std::vector<double> odds(labels.size());  // of the fit, as logarithms
  for (size_t i = 0; i < labels.size(); ++i) {
    const double p = fit.Probability({rows.data() + i * columns, columns});
    odds[i] = std::log(std::max(p, 1e-12) / std::max(1 - p, 1e-12));
  }
  double low = -10, high = 10;
  while (high - low > 1e-6) {
    const double shift = (low + high) / 2;
    double excess = 0;  // of what is expected over what is true: rises with the shift
    for (size_t i = 0; i < labels.size(); ++i) {
      const double weight = importance[i] * (i < plain ? 1 : 1 / (kWithheldRounds * kQuarter));
      excess += weight * (1 / (1 + std::exp(-odds[i] - shift)) - (labels[i] != 0 ? 1 : 0));
    }
    (excess > 0 ? high : low) = shift;
  }
  return (low + high) / 2;
}

// Calibrates on `items` alone: three fifths of them are asked with the rest, first all of them, then several times
// without a quarter of the labels and with queries of those. Items without a label are queries without a match.
absl::StatusOr<Calibration> Calibrate(const Pictures& pictures, const std::vector<const Item*>& items,
                                      const FloorEvalOptions& options) {
  std::vector<const Item*> stored, queries;
  for (const Item* item : items) {
    const bool keep = item->label != kNoLabel && Chosen(item->signature, options.seed, "stored", 0.6);
    (keep ? stored : queries).push_back(item);
  }
  if (stored.empty() || queries.empty()) {
    return absl::InvalidArgumentError("there are too few labelled pictures to calibrate a relevance floor on");
  }
  LIKENESS_ASSIGN_OR_RETURN(const Collection collection, MakeCollection(pictures, std::move(stored), options));
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<Asked> plain, Ask(pictures, collection, queries, nullptr, options));
  std::vector<Asked> all = plain;
  for (size_t round = 0; round < kWithheldRounds; ++round) {
    const auto withheld = [&](uint32_t label) {
      return Random(options.seed * 1000 + round * 100'003 + label).Unit() < kQuarter;
    };
    std::vector<const Item*> without;
    for (const Item* item : queries) {
      if (item->label != kNoLabel && withheld(item->label)) without.push_back(item);
    }
    DocSet allowed(collection.items.size());
    for (size_t i = 0; i < collection.items.size(); ++i) {
      if (!withheld(collection.items[i]->label)) allowed.Set(DocId(static_cast<uint32_t>(i)));
    }
    LIKENESS_ASSIGN_OR_RETURN(std::vector<Asked> more, Ask(pictures, collection, without, &allowed, options));
    all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  }
  // Each set says as much as any other.
  std::map<uint32_t, double> of_set;
  for (const Asked& one : all) of_set[one.query->set] += static_cast<double>(one.inputs.size());
  std::vector<double> rows, importance;
  std::vector<uint8_t> labels;
  size_t plain_hits = 0;
  for (const Asked& one : plain) plain_hits += one.inputs.size();
  for (const Asked& one : all) {
    for (size_t h = 0; h < one.inputs.size(); ++h) {
      for (const size_t input : kInputs) rows.push_back(one.inputs[h][input]);
      labels.push_back(one.relevant[h]);
      importance.push_back(1 / of_set[one.query->set]);
    }
  }
  LIKENESS_ASSIGN_OR_RETURN(const LogisticFit fit, FitLogistic(rows, std::size(kInputs), labels, importance,
                                                               {.ridge = 1e-3, .nonnegative = {true, true, false}}));
  FloorModel::Parameters parameters;
  parameters.feature = pictures.key.type;
  parameters.bias = fit.bias + BiasShift(fit, rows, labels, importance, plain_hits);
  for (size_t i = 0; i < std::size(kInputs); ++i) {
    parameters.weights[kInputs[i]] = fit.weights[i];
    parameters.centers[kInputs[i]] = fit.centers[i];
  }
  LIKENESS_ASSIGN_OR_RETURN(const FloorModel model, FloorModel::Create(parameters));
  parameters.threshold = 1;
  std::map<uint32_t, std::vector<double>> true_hits;
  for (const Asked& one : plain) {
    for (size_t h = 0; h < one.inputs.size(); ++h) {
      if (one.relevant[h] != 0) true_hits[one.query->set].push_back(model.Probability(one.inputs[h]));
    }
  }
  for (auto& [set, probabilities] : true_hits) {
    parameters.threshold =
        std::min(parameters.threshold, Quantile(std::move(probabilities), std::max(1 - options.keep, 1e-6)));
  }
  LIKENESS_ASSIGN_OR_RETURN(FloorModel done, FloorModel::Create(std::move(parameters)));
  return Calibration{std::move(done), labels.size()};
}

FloorGroup Judge(const std::string& name, bool matched, const FloorModel& model, const std::vector<Asked>& asked) {
  FloorGroup group{name, matched, asked.size()};
  size_t nothing = 0, true_hits = 0, true_kept = 0, false_hits = 0, false_kept = 0;
  for (const Asked& one : asked) {
    bool any = false;
    for (size_t h = 0; h < one.inputs.size(); ++h) {
      const bool kept = model.Probability(one.inputs[h]) >= model.threshold();
      any = any || kept;
      (one.relevant[h] != 0 ? true_hits : false_hits) += 1;
      (one.relevant[h] != 0 ? true_kept : false_kept) += kept ? 1 : 0;
    }
    nothing += any ? 0 : 1;
  }
  const auto share = [](size_t part, size_t of) {
    return of == 0 ? 0 : static_cast<double>(part) / static_cast<double>(of);
  };
  group.nothing = share(nothing, asked.size());
  group.kept = share(true_kept, true_hits);
  group.false_kept = share(false_kept, false_hits);
  return group;
}

}  // namespace

bool FloorReport::ok() const {
  return std::ranges::all_of(results, [](const BarResult& result) { return result.ok(); });
}

absl::StatusOr<FloorReport> TrainFloor(const FloorEvalOptions& options, const RelevanceProgress& progress) {
  LIKENESS_ASSIGN_OR_RETURN(const Pictures pictures, LoadPictures(options, progress));
  std::vector<const Item*> items;
  for (const Item& item : pictures.items) items.push_back(&item);
  if (progress) progress("calibrating", 0, 1);
  LIKENESS_ASSIGN_OR_RETURN(const Calibration calibration, Calibrate(pictures, items, options));
  FloorReport report;
  report.feature = pictures.key.ToString();
  report.collection = items.size();
  report.examples = calibration.examples;
  report.model = calibration.model.parameters();
  return report;
}

absl::StatusOr<FloorReport> EvaluateFloor(const FloorEvalOptions& options, const RelevanceProgress& progress) {
  LIKENESS_ASSIGN_OR_RETURN(const Pictures pictures, LoadPictures(options, progress));
  std::vector<const Item*> half;
  std::map<uint32_t, std::vector<const Item*>> queries;
  for (const Item& item : pictures.items) {
    const bool stored = item.label != kNoLabel && Chosen(item.signature, options.seed, "half", 0.5);
    if (stored) {
      half.push_back(&item);
    } else {
      queries[item.set].push_back(&item);
    }
  }
  if (progress) progress("calibrating", 0, 2 + pictures.labelled);
  LIKENESS_ASSIGN_OR_RETURN(const Calibration calibration, Calibrate(pictures, half, options));
  FloorReport report;
  report.feature = pictures.key.ToString();
  report.collection = half.size();
  report.examples = calibration.examples;
  report.model = calibration.model.parameters();

  if (progress) progress("asking", 1, 2 + pictures.labelled);
  LIKENESS_ASSIGN_OR_RETURN(const Collection collection, MakeCollection(pictures, half, options));
  std::map<uint32_t, std::vector<Asked>> asked;
  for (const auto& [set, own] : queries) {
    LIKENESS_ASSIGN_OR_RETURN(asked[set], Ask(pictures, collection, own, nullptr, options));
    report.groups.push_back(Judge(pictures.names[set], set < pictures.labelled, calibration.model, asked[set]));
  }
  for (uint32_t left = 0; pictures.labelled > 1 && left < pictures.labelled; ++left) {
    if (progress) progress("without " + pictures.names[left], 2 + left, 2 + pictures.labelled);
    std::vector<const Item*> others;
    for (const Item* item : half) {
      if (item->set != left) others.push_back(item);
    }
    LIKENESS_ASSIGN_OR_RETURN(const Calibration other, Calibrate(pictures, others, options));
    for (const auto& [set, own] : asked) {
      if (set < pictures.labelled && set != left) continue;
      report.transferred.push_back(
          Judge(pictures.names[left] + " | " + pictures.names[set], set < pictures.labelled, other.model, own));
    }
  }
  for (const FloorGroup& group : report.groups) {
    BarResult result;
    result.name = group.name + (group.matched ? ": true hits kept" : ": queries answered by nothing");
    result.value = group.matched ? group.kept : group.nothing;
    result.unit = "share";
    if (options.bars) result.bar = kBar;
    report.results.push_back(std::move(result));
  }
  return report;
}

std::string FloorReportToJson(const FloorReport& report) {
  using Json = nlohmann::ordered_json;
  const auto list = [](const std::vector<FloorGroup>& groups) {
    Json all = Json::array();
    for (const FloorGroup& group : groups) {
      all.push_back({{"name", group.name},
                     {"matched", group.matched},
                     {"queries", group.queries},
                     {"nothing", group.nothing},
                     {"true_hits_kept", group.kept},
                     {"false_hits_kept", group.false_kept}});
    }
    return all;
  };
  Json results = Json::array();
  for (const BarResult& result : report.results) {
    results.push_back({{"name", result.name},
                       {"value", result.value},
                       {"unit", result.unit},
                       {"bar", result.bar ? Json(*result.bar) : Json()},
                       {"better", "higher"},
                       {"ok", result.ok()}});
  }
  Json inputs = Json::object();
  for (size_t i = 0; i < kFloorInputs; ++i) {
    if (report.model.weights[i] == 0) continue;
    inputs[std::string(kFloorInputNames[i])] = {{"weight", report.model.weights[i]},
                                                {"center", report.model.centers[i]}};
  }
  const Json json{{"feature", report.feature},
                  {"collection", report.collection},
                  {"examples", report.examples},
                  {"model", {{"inputs", inputs}, {"bias", report.model.bias}, {"threshold", report.model.threshold}}},
                  {"groups", list(report.groups)},
                  {"transferred", list(report.transferred)},
                  {"results", std::move(results)}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string FloorReportToText(const FloorReport& report) {
  char line[200];
  std::snprintf(line, sizeof(line), "%zu pictures, calibrated on %zu hits, threshold %.3f\n", report.collection,
                report.examples, report.model.threshold);
  std::string text = line;
  const auto add = [&](const FloorGroup& group) {
    std::snprintf(line, sizeof(line), "%-28s %6zu queries  %5.1f %% answered by nothing", group.name.c_str(),
                  group.queries, 100 * group.nothing);
    text += line;
    if (group.matched) {
      std::snprintf(line, sizeof(line), "  %5.1f %% of true hits kept, %5.1f %% of others", 100 * group.kept,
                    100 * group.false_kept);
      text += line;
    }
    text += "\n";
  };
  for (const FloorGroup& group : report.groups) add(group);
  if (!report.transferred.empty()) text += "calibrated without the set named first:\n";
  for (const FloorGroup& group : report.transferred) add(group);
  for (const BarResult& result : report.results) {
    if (!result.bar) continue;
    std::snprintf(line, sizeof(line), "%s: %s %.4f, bar %.4f\n", result.ok() ? "ok" : "MISSED", result.name.c_str(),
                  result.value, *result.bar);
    text += line;
  }
  return text;
}

}  // namespace likeness
