// likeness eval: judges what the system does on labelled pictures.
#include "base/file.h"
#include "base/thread_pool.h"
#include "cli/command.h"
#include "cli/progress_bar.h"
#include "cli/rank_commands.h"
#include "eval/color.h"
#include "eval/conformity_curve.h"
#include "eval/relevance.h"
#include "infer/model_library.h"

namespace likeness {
namespace {

struct RelevanceFlags {
  std::string data, labels, field, words, html, cache, layer, fit, rotation = "random";
  std::vector<std::string> models;
  std::vector<size_t> code_bits = {1024};
  size_t threads = 0;
  bool bars = false;
};

std::string Text(const RelevanceReport& report) {
  char line[200];
  std::string text =
      std::to_string(report.queries) + " queries over " + std::to_string(report.pictures) + " pictures\n";
  std::snprintf(line, sizeof(line), "%-28s %7s %7s %7s %7s | %7s %7s | %8s %8s\n", "", "P@1", "P@5", "P@10", "mAP",
                "bin P@1", "bin mAP", "p50 ms", "p99 ms");
  text += line;
  for (const ModelReport& model : report.models) {
    const Quality& found = model.binary().search;
    const QueryLatency latency = model.latency.value_or(QueryLatency());
    std::snprintf(line, sizeof(line), "%-28s %7.4f %7.4f %7.4f %7.4f | %7.4f %7.4f | %8.1f %8.1f\n", model.name.c_str(),
                  model.plain.p_at_1.value, model.plain.p_at_5.value, model.plain.p_at_10.value, model.plain.map.value,
                  found.p_at_1.value, found.map.value, latency.total.p50, latency.total.p99);
    text += line;
  }
  if (report.conformity != nullptr) text += ConformityReportToText(*report.conformity);
  for (const BarResult& result : report.results) {
    if (!result.bar) continue;
    std::snprintf(line, sizeof(line), "%s: %s %.4f, bar %.4f\n", result.ok() ? "ok" : "MISSED", result.name.c_str(),
                  result.value, *result.bar);
    text += line;
  }
  return text;
}

absl::StatusOr<CommandOutput> RunRelevance(const CommonFlags& common, const RelevanceFlags& flags) {
  if (flags.data.empty() == flags.labels.empty()) {
    return absl::InvalidArgumentError("give either --data FOLDER or --labels FILE with --field NAME");
  }
  RelevanceOptions options;
  options.data = flags.data;
  options.labels = flags.labels;
  options.field = flags.field;
  options.words = flags.words;
  options.layer = flags.layer;
  options.code_bits = flags.code_bits;
  options.cache = flags.cache;
  options.threads = flags.threads == 0 ? AvailableThreads() : flags.threads;
  options.rotation = flags.rotation == "learned" ? Rotation::kLearned : Rotation::kRandom;
  if (flags.fit == "crop") options.fit = Fit::kCrop;
  if (flags.fit == "mild") options.fit = Fit::kMild;
  if (flags.fit == "pad") options.fit = Fit::kPad;
  if (flags.fit == "stretch") options.fit = Fit::kStretch;
  if (flags.bars) options.bars = RelevanceBars();
  const ModelLibrary library = ModelLibrary::Usual(common.home);
  const std::vector<std::string> names =
      flags.models.empty() ? std::vector<std::string>{std::string(kDefaultModel)} : flags.models;
  for (const std::string& name : names) {
    LIKENESS_ASSIGN_OR_RETURN(ModelFiles model, library.Find(name));
    options.models.push_back(std::move(model));
  }
  absl::StatusOr<RelevanceReport> report = absl::InternalError("");
  {
    ProgressBar bar;
    report = EvaluateRelevance(
        options, [&bar](std::string_view stage, size_t done, size_t total) { bar.Show(stage, done, total); });
  }
  LIKENESS_RETURN_IF_ERROR(report.status());
  if (!flags.html.empty()) {
    LIKENESS_RETURN_IF_ERROR(WriteFileAtomic(flags.html, AsBytes(RelevanceReportToHtml(*report))));
  }
  CommandOutput output;
  output.json = nlohmann::ordered_json::parse(RelevanceReportToJson(*report), nullptr, /*allow_exceptions=*/false);
  output.text = Text(*report);
  output.failed = !report->ok();
  return output;
}

struct ColorFlags {
  std::string labels, field, boxes;
  size_t threads = 0;
  std::optional<double> bar;
};

absl::StatusOr<CommandOutput> RunColor(const ColorFlags& flags) {
  ColorEvalOptions options;
  options.labels = flags.labels;
  options.field = flags.field;
  options.boxes = flags.boxes;
  options.threads = flags.threads == 0 ? AvailableThreads() : flags.threads;
  options.bar = flags.bar;
  absl::StatusOr<ColorReport> report = absl::InternalError("");
  {
    ProgressBar bar;
    report = EvaluateColor(options,
                           [&bar](std::string_view stage, size_t done, size_t total) { bar.Show(stage, done, total); });
  }
  LIKENESS_RETURN_IF_ERROR(report.status());
  CommandOutput output;
  output.json = nlohmann::ordered_json::parse(ColorReportToJson(*report), nullptr, /*allow_exceptions=*/false);
  output.text = ColorReportToText(*report);
  output.failed = !report->ok();
  return output;
}

void AddColor(Program& program, CLI::App* eval) {
  auto flags = std::make_shared<ColorFlags>();
  CLI::App* command = program.Add(
      "color", "Do pictures of one color find each other, and does a named color find its own?",
      [flags] { return RunColor(*flags); }, eval);
  command->add_option("--labels", flags->labels, "A file of JSON lines with image and label")->required();
  command->add_option("--field", flags->field, "Name of the label that is a color")->required();
  command->add_option("--boxes", flags->boxes,
                      "A file of JSON lines with image and boxes, to judge the salient region");
  command->add_option("--bar", flags->bar, "By what factor P@10 must be above that of a color histogram");
  command->add_option("--threads", flags->threads, "Threads; 0: one for each processor")->capture_default_str();
}

}  // namespace

void AddEvalCommand(Program& program) {
  CLI::App* eval = program.Add("eval", "Judge search on labelled pictures", nullptr);
  eval->require_subcommand(1);
  AddColor(program, eval);
  AddEvalDuplicates(program, eval);
  AddEvalParts(program, eval);
  AddEvalFloor(program, eval);
  auto flags = std::make_shared<RelevanceFlags>();
  CLI::App* command = program.Add(
      "relevance", "Leave-one-out: do pictures of one label find each other?",
      [&program, flags] { return RunRelevance(program.flags, *flags); }, eval);
  command->add_option("--data", flags->data, "A folder that holds a folder of pictures for each label");
  command->add_option("--labels", flags->labels, "Instead: a file of JSON lines with image and label");
  command->add_option("--field", flags->field, "Name of the label in those lines");
  command->add_option("--words", flags->words,
                      "Name of what people wrote in those lines: judges conformity, precision against recall");
  command->add_option("--model", flags->models, "A model to judge; repeatable; default: the default model");
  command->add_option("--layer", flags->layer,
                      "Layer of the models, instead of the cards'; fc6+fc8 combines the scores of two");
  command->add_option("--fit", flags->fit, "How pictures are fitted, instead of the cards' way")
      ->check(CLI::IsMember({"crop", "mild", "pad", "stretch"}));
  command->add_option("--code-bits", flags->code_bits, "Lengths of the binary codes, like 256,512,1024")
      ->delimiter(',');
  command->add_option("--rotation", flags->rotation, "Rotation of the binary codes")
      ->check(CLI::IsMember({"random", "learned"}))
      ->capture_default_str();
  command->add_option("--html", flags->html, "Write a report with plots and pictures to this file");
  command->add_option("--cache", flags->cache, "Keep vectors in this file between evaluations");
  command->add_option("--threads", flags->threads, "Threads; 0: one for each processor")->capture_default_str();
  command->add_flag("--bars", flags->bars, "Hold the first model to its bars; exit 1 when one is missed");
}

}  // namespace likeness
