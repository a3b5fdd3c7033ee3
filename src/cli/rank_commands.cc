#include "cli/rank_commands.h"

#include <algorithm>
#include <map>

#include "base/file.h"
#include "base/random.h"
#include "base/thread_pool.h"
#include "cli/board_set.h"
#include "cli/progress_bar.h"
#include "eval/floor.h"
#include "eval/labelled_set.h"
#include "learn/ranker_trainer.h"
#include "rank/topic.h"
#include "rank/weights.h"
#include "serve/search_service.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

struct FloorFlags {
  FloorEvalOptions options;
  std::vector<std::string> unmatched;
  std::string model, cache, out;
};

void AddFloorFlags(CLI::App* command, const std::shared_ptr<FloorFlags>& flags) {
  FloorEvalOptions& options = flags->options;
  options.threads = AvailableThreads();
  command->add_option(
      "--set", options.sets,
      "Labelled pictures: a folder that holds a folder for each label, or FILE.jsonl:FIELD; repeatable; "
      "with none, the pictures of this home by their boards");
  command->add_option("--unmatched", flags->unmatched,
                      "A folder with folders of pictures that are like nothing in the sets; repeatable");
  command->add_option("--noise", options.noise, "So many generated pictures of noise and patterns besides")
      ->capture_default_str();
  command->add_option("--keep", options.keep, "Share of true hits that a calibration keeps, where that is hardest")
      ->check(CLI::Range(0.01, 0.999))
      ->capture_default_str();
  command->add_option("--model", flags->model,
                      "The model that pictures are compared by; default: the home's, or " + std::string(kDefaultModel));
  command->add_option("--cache", flags->cache, "Keep vectors in this file between runs");
  command->add_option("--seed", options.seed)->capture_default_str();
  command->add_option("--threads", options.threads)->check(CLI::Range(1, 1024))->capture_default_str();
}

absl::StatusOr<FloorReport> RunFloor(const CommonFlags& common, const FloorFlags& flags, bool train) {
  FloorEvalOptions options = flags.options;
  options.unmatched.assign(flags.unmatched.begin(), flags.unmatched.end());
  options.cache = flags.cache;
  std::string model = flags.model;
  if (options.sets.empty()) {
    LIKENESS_ASSIGN_OR_RETURN(const auto home, Home::Open(common.home, /*create=*/false));
    LIKENESS_ASSIGN_OR_RETURN(options.known, SetOfBoards(*home, {.seed = options.seed, .threads = options.threads}));
    const auto& models = home->config().models;
    if (model.empty() && !models.empty()) model = models.front();
  }
  if (model.empty()) model = kDefaultModel;
  LIKENESS_ASSIGN_OR_RETURN(options.model, ModelLibrary::Usual(common.home).Find(model));
  ProgressBar bar;
  const auto progress = [&bar](std::string_view stage, size_t done, size_t total) { bar.Show(stage, done, total); };
  return train ? TrainFloor(options, progress) : EvaluateFloor(options, progress);
}

CommandOutput OutputOf(const FloorReport& report) {
  CommandOutput output;
  output.json = nlohmann::ordered_json::parse(FloorReportToJson(report), nullptr, /*allow_exceptions=*/false);
  output.text = FloorReportToText(report);
  output.failed = !report.ok();
  return output;
}

absl::StatusOr<CommandOutput> RunTrainFloor(const CommonFlags& common, const FloorFlags& flags) {
  LIKENESS_ASSIGN_OR_RETURN(const FloorReport report, RunFloor(common, flags, true));
  LIKENESS_ASSIGN_OR_RETURN(const FloorModel model, FloorModel::Create(report.model));
  const fs::path out = flags.out.empty() ? common.home / "ranking" / "floor.json" : fs::path(flags.out);
  std::error_code error;
  fs::create_directories(out.parent_path(), error);
  LIKENESS_RETURN_IF_ERROR(WriteFileAtomic(out, AsBytes(model.ToJson())));
  CommandOutput output = OutputOf(report);
  output.json["floor"] = out.string();
  output.text += "wrote " + out.string() + "\n";
  return output;
}

struct RankerFlags {
  std::string labels, field, data, out;
  size_t queries = 500, k = 50, threads = 0;
  RankerOptions options;
};

// What the candidates of pictures with a label say.
absl::StatusOr<std::vector<RankedPair>> CollectPairs(SearchService& service, const LabelledSet& set,
                                                     const RankerFlags& flags) {
  const std::shared_ptr<const Serving> serving = service.serving();
  if (serving == nullptr) return absl::FailedPreconditionError("nothing is indexed yet: run `likeness index` first");
  std::map<Signature, uint32_t> labels;
  std::vector<Signature> queries;
  for (const LabelledPicture& picture : set.pictures) {
    if (!serving->snapshot->Find(picture.signature)) continue;
    labels.emplace(picture.signature, picture.label);
    queries.push_back(picture.signature);
  }
  if (queries.size() < 2) {
    return absl::FailedPreconditionError("hardly any of the labelled pictures is in the collection: add them first");
  }
  Random random(flags.options.seed);
  std::shuffle(queries.begin(), queries.end(), random);
  queries.resize(std::min(queries.size(), flags.queries));
  // Every signal is computed, and none but the look decides who is a candidate.
  SignalWeights probe;
  probe[Signal::kTokens] = 0;
  for (const Signal signal : flags.options.signals) probe[signal] = std::max(probe[signal], 1e-9f);
  std::vector<RankedPair> pairs;
  ProgressBar bar;
  for (size_t q = 0; q < queries.size(); ++q) {
    bar.Show("asking", q, queries.size());
    if (StopFlag()) return absl::CancelledError("stopped; nothing was written");
    SearchRequest request;
    request.signature = queries[q];
    request.k = flags.k + 1;
    LIKENESS_ASSIGN_OR_RETURN(VisualQuery query, service.QueryFor(request, *serving, probe));
    query.traits.words = query.traits.code = true;
    LIKENESS_ASSIGN_OR_RETURN(LeafAnswer answer, AnswerLeaf(*serving->snapshot, query, serving->pinned, flags.threads));
    // The topic is that of the others: an uploaded picture has no words of its own either.
    std::erase_if(answer.hits, [&](const Hit& hit) { return hit.signature == queries[q]; });
    const Topics topics = TopicsOf(answer.hits);
    for (size_t i = 0; i < answer.hits.size(); ++i) {
      Hit& hit = answer.hits[i];
      if (topics.hits[i]) hit.evidence.signals.Set(Signal::kTopic, *topics.hits[i]);
      const auto label = labels.find(hit.signature);
      if (label == labels.end()) continue;
      pairs.push_back({static_cast<uint32_t>(q), hit.evidence.signals, label->second == labels[queries[q]]});
    }
  }
  return pairs;
}

absl::StatusOr<CommandOutput> RunTrainRanker(const CommonFlags& common, const RankerFlags& flags) {
  if (flags.data.empty() == flags.labels.empty()) {
    return absl::InvalidArgumentError("give either --data FOLDER or --labels FILE with --field NAME");
  }
  LIKENESS_ASSIGN_OR_RETURN(const auto home, Home::Open(common.home, /*create=*/false));
  LIKENESS_ASSIGN_OR_RETURN(const LabelledSet set, flags.labels.empty() ? ReadLabelledFolder(flags.data)
                                                                        : ReadLabelledLines(flags.labels, flags.field));
  LIKENESS_ASSIGN_OR_RETURN(const auto service, SearchService::Open(*home, home->config().threads));
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<RankedPair> pairs, CollectPairs(*service, set, flags));
  LIKENESS_ASSIGN_OR_RETURN(RankerReport report, TrainRanker(pairs, flags.options));
  // Labels say what is alike, not what is a part of what.
  report.weights[Signal::kTokens] = SignalWeights()[Signal::kTokens];
  const fs::path out = flags.out.empty() ? common.home / "ranking" / "weights.json" : fs::path(flags.out);
  std::error_code error;
  fs::create_directories(out.parent_path(), error);
  LIKENESS_RETURN_IF_ERROR(WriteFileAtomic(out, AsBytes(FormatWeights(report.weights))));
  CommandOutput output;
  nlohmann::ordered_json weights = nlohmann::ordered_json::object();
  for (size_t i = 0; i < kSignals; ++i) {
    if (report.weights.values[i] != 0) weights[std::string(kSignalNames[i])] = report.weights.values[i];
  }
  output.json = {{"ranker", out.string()},
                 {"weights", weights},
                 {"queries", report.queries},
                 {"held_out", report.held_out},
                 {"pairs", report.pairs},
                 {"p_at_5", report.p_at_5},
                 {"map", report.map},
                 {"visual_p_at_5", report.visual_p_at_5},
                 {"visual_map", report.visual_map},
                 {"uploaded_p_at_5", report.uploaded_p_at_5},
                 {"uploaded_map", report.uploaded_map}};
  char line[240];
  std::snprintf(
      line, sizeof(line),
      "held out %zu of %zu queries: P@5 %.4f, visual alone %.4f; mAP %.4f, %.4f; as if uploaded, without words "
      "and colors of their own: P@5 %.4f, mAP %.4f\n",
      report.held_out, report.queries, report.p_at_5, report.visual_p_at_5, report.map, report.visual_map,
      report.uploaded_p_at_5, report.uploaded_map);
  output.text = weights.dump() + "\n" + line + "wrote " + out.string() + "\n";
  if (home->config().rank.weights) {
    output.text += "likeness.toml has [rank.weights], which goes before this file: remove it there\n";
  }
  return output;
}

}  // namespace

void AddEvalFloor(Program& program, CLI::App* eval) {
  auto flags = std::make_shared<FloorFlags>();
  CLI::App* command = program.Add(
      "floor", "Are queries without a match told so, and do true hits stay?",
      [&program, flags]() -> absl::StatusOr<CommandOutput> {
        LIKENESS_ASSIGN_OR_RETURN(const FloorReport report, RunFloor(program.flags, *flags, false));
        return OutputOf(report);
      },
      eval);
  AddFloorFlags(command, flags);
  command->add_flag("--bars", flags->options.bars, "Hold every group to 90 %; exit 1 when one is missed");
}

void AddTrainFloor(Program& program, CLI::App* train) {
  auto flags = std::make_shared<FloorFlags>();
  CLI::App* command = program.Add(
      "floor", "Calibrate the relevance floor on labelled pictures",
      [&program, flags] { return RunTrainFloor(program.flags, *flags); }, train);
  AddFloorFlags(command, flags);
  command->add_option("--out", flags->out,
                      "The file to write; default: that which this home uses from now on, HOME/ranking/floor.json");
}

void AddTrainRanker(Program& program, CLI::App* train) {
  auto flags = std::make_shared<RankerFlags>();
  flags->threads = AvailableThreads();
  CLI::App* command = program.Add(
      "ranker", "Fit the weights of the signals on labelled pictures of the collection",
      [&program, flags] { return RunTrainRanker(program.flags, *flags); }, train);
  command->add_option("--data", flags->data, "A folder that holds a folder of pictures for each label");
  command->add_option("--labels", flags->labels, "Instead: a file of JSON lines with image and label");
  command->add_option("--field", flags->field, "Name of the label in those lines");
  command->add_option("--queries", flags->queries, "So many of the pictures are asked with")
      ->check(CLI::Range(10, 1'000'000))
      ->capture_default_str();
  command->add_option("-k,--k", flags->k, "Candidates of each query")
      ->check(CLI::Range(5, 1000))
      ->capture_default_str();
  command->add_option("--seed", flags->options.seed, "Draws the queries and those that are held out")
      ->capture_default_str();
  command->add_option("--out", flags->out,
                      "The file to write; default: that which this home uses from now on, HOME/ranking/weights.json");
}

}  // namespace likeness
