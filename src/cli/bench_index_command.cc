// likeness bench-index: recall and speed of the index on the user's own collection, and which setting to choose.
#include <cstdio>

#include "cli/command.h"
#include "eval/index_quality.h"
#include "eval/token_quality.h"
#include "pipeline/open_snapshot.h"
#include "pipeline/token_files.h"
#include "store/release.h"

namespace likeness {
namespace {

using Json = nlohmann::ordered_json;

struct BenchIndexFlags {
  IndexQuestion question;
  std::string feature;
};

std::string NameOf(const IndexTrial& trial) {
  char text[64];
  if (trial.effort) {
    std::snprintf(text, sizeof(text), "graph, effort %g", static_cast<double>(*trial.effort));
  } else if (trial.checks) {
    std::snprintf(text, sizeof(text), "trees, %zu checks", *trial.checks);
  } else {
    return trial.kind;
  }
  return text;
}

std::string Line(const IndexTrial& trial) {
  char text[160];
  std::snprintf(text, sizeof(text), "  %-22s %8.4f %9.3f %9.3f %11.0f %12.0f\n", NameOf(trial).c_str(), trial.recall,
                trial.p50_ms, trial.p99_ms, trial.per_second, trial.compared);
  return text;
}

std::string Advice(const IndexQuality& quality, const IndexQuestion& question) {
  char text[320];
  if (quality.graphs == 0) {
    return "Every segment is so small that it is scanned: answers are exact, and there is nothing to choose.\n";
  }
  if (!quality.chosen || quality.trials[*quality.chosen].kind == "exact") {
    std::snprintf(text, sizeof(text),
                  "No effort that was tried finds %g of the true neighbors faster than a scan. To have everything "
                  "scanned, set effort = 100 under [search] in likeness.toml; or ask for less with --recall.\n",
                  question.recall);
    return text;
  }
  const IndexTrial& trial = quality.trials[*quality.chosen];
  std::snprintf(text, sizeof(text),
                "Choose effort = %g under [search] in likeness.toml (1 without it): it finds %.4f of the true "
                "neighbors, %.0f times as fast as a "
                "scan.\n",
                static_cast<double>(*trial.effort), trial.recall,
                quality.trials.front().per_second > 0 ? trial.per_second / quality.trials.front().per_second : 0);
  return text;
}

Json TrialJson(const IndexTrial& trial) {
  return {{"kind", trial.kind},
          {"effort", trial.effort ? Json(*trial.effort) : Json(nullptr)},
          {"checks", trial.checks ? Json(*trial.checks) : Json(nullptr)},
          {"recall", trial.recall},
          {"p50_ms", trial.p50_ms},
          {"p99_ms", trial.p99_ms},
          {"queries_per_second", trial.per_second},
          {"compared", trial.compared}};
}

std::string TokensText(const TokenQuality& tokens) {
  char text[420];
  std::snprintf(
      text, sizeof(text),
      "\nVisual words: %llu keypoints of %llu images, %.0f bytes an image\n%zu stored images asked for by the "
      "keypoints of their middle quarter: %.4f find themselves, in %.3f ms (p50) and %.3f ms (p99) of one core, "
      "beside the search by code. tokens = 0 under [rank.weights] in likeness.toml leaves that out.\n",
      static_cast<unsigned long long>(tokens.keypoints), static_cast<unsigned long long>(tokens.images), tokens.bytes,
      tokens.queries, tokens.found, tokens.p50_ms, tokens.p99_ms);
  return text;
}

Json TokensJson(const TokenQuality& tokens) {
  return {{"images", tokens.images},   {"keypoints", tokens.keypoints}, {"bytes_per_image", tokens.bytes},
          {"queries", tokens.queries}, {"found", tokens.found},         {"p50_ms", tokens.p50_ms},
          {"p99_ms", tokens.p99_ms}};
}

absl::StatusOr<CommandOutput> RunBenchIndex(const CommonFlags& common, const BenchIndexFlags& flags) {
  LIKENESS_ASSIGN_OR_RETURN(const auto home, Home::Open(common.home, /*create=*/false));
  LIKENESS_ASSIGN_OR_RETURN(const std::optional<CurrentRelease> current, ReadCurrent(home->objects()));
  if (!current) return absl::FailedPreconditionError("there is no release yet: run `likeness fingerprint` first");
  LIKENESS_ASSIGN_OR_RETURN(const Release release, ReadRelease(home->objects(), current->name));
  LIKENESS_ASSIGN_OR_RETURN(const auto snapshot, OpenSnapshot(*home, release));
  IndexQuestion question = flags.question;
  question.threads = home->config().threads;
  if (!flags.feature.empty()) {
    const std::optional<FeatureKey> key = FeatureKey::Parse(flags.feature);
    if (!key) return absl::InvalidArgumentError("--feature must be TYPE/VERSION, not " + flags.feature);
    question.feature = *key;
  } else {
    for (const auto& segment : snapshot->segments()) {
      if (!segment->features().empty()) question.feature = segment->features().front();
    }
  }
  const std::string head = "  search                   recall    p50 ms    p99 ms   queries/s     compared\n";
  if (!common.json) std::fputs(head.c_str(), stderr);
  LIKENESS_ASSIGN_OR_RETURN(const IndexQuality quality, MeasureIndex(*snapshot, question, [&](const IndexTrial& trial) {
                              if (!common.json) std::fputs(Line(trial).c_str(), stderr);
                            }));
  const LocalRows keypoints(*home, release);
  LIKENESS_ASSIGN_OR_RETURN(
      const std::optional<TokenQuality> tokens,
      MeasureTokens(*snapshot, [&](Snapshot::Place place) { return keypoints.Get(*snapshot, place); },
                    {.queries = question.queries, .seed = question.seed}));
  CommandOutput output;
  char line[300];
  std::snprintf(line, sizeof(line),
                "%s of release %s: %llu images in %zu segments, %zu of them with a graph of %.0f bytes an image; codes "
                "of %u bits\n%zu stored images asked for their %zu nearest, on one core\n\n",
                question.feature.ToString().c_str(), release.name.c_str(),
                static_cast<unsigned long long>(quality.images), quality.segments, quality.graphs, quality.graph_bytes,
                quality.code_bits, quality.queries, question.k);
  output.text = line + head;
  Json trials = Json::array();
  for (const IndexTrial& trial : quality.trials) {
    output.text += Line(trial);
    trials.push_back(TrialJson(trial));
  }
  output.text += "\n" + Advice(quality, question);
  if (tokens) output.text += TokensText(*tokens);
  output.json = {{"release", release.name},
                 {"feature", question.feature.ToString()},
                 {"images", quality.images},
                 {"segments", quality.segments},
                 {"graphs", quality.graphs},
                 {"graph_bytes_per_image", quality.graph_bytes},
                 {"code_bits", quality.code_bits},
                 {"queries", quality.queries},
                 {"k", question.k},
                 {"recall_wanted", question.recall},
                 {"trials", std::move(trials)},
                 {"choose", quality.chosen ? TrialJson(quality.trials[*quality.chosen]) : Json(nullptr)},
                 {"advice", Advice(quality, question)},
                 {"tokens", tokens ? TokensJson(*tokens) : Json(nullptr)}};
  return output;
}

}  // namespace

void AddBenchIndexCommand(Program& program) {
  auto flags = std::make_shared<BenchIndexFlags>();
  CLI::App* command =
      program.Add("bench-index", "Measure recall and speed of the index on this collection, and say what to choose",
                  [&program, flags] { return RunBenchIndex(program.flags, *flags); });
  command->add_option("--feature", flags->feature, "Feature to search, TYPE/VERSION; the first of the release if none");
  command->add_option("--queries", flags->question.queries, "Stored images to ask with")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  command->add_option("-k,--k", flags->question.k, "Neighbors wanted")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  command->add_option("--recall", flags->question.recall, "Share of the true neighbors that must be found, 0 to 1")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command->add_option("--seed", flags->question.seed, "Of the choice of images")->capture_default_str();
  command->add_flag("!--no-trees", flags->question.trees, "Leave the clustering trees out");
}

}  // namespace likeness
