// likeness eval duplicates: are altered copies found, and different photographs told apart?
#include "base/thread_pool.h"
#include "cli/command.h"
#include "cli/progress_bar.h"
#include "eval/duplicates.h"
#include "feature/vocabulary.h"

namespace likeness {
namespace {

struct Flags {
  std::string data = "../shared/data", vocabulary, cache, dump, misses, scenes;
  std::vector<std::string> rows;
  size_t queries = 300, distractors = 8000, products = 1500, threads = 0;
  uint64_t seed = DuplicateEvalOptions().seed;
};

absl::StatusOr<CommandOutput> Run(const CommonFlags& common, const Flags& flags) {
  DuplicateEvalOptions options;
  options.data = flags.data;
  options.cache = flags.cache;
  options.dump = flags.dump;
  options.misses = flags.misses;
  options.scenes = flags.scenes;
  options.rows = flags.rows;
  if (!flags.misses.empty()) {
    std::error_code error;
    std::filesystem::create_directories(flags.misses, error);
    if (error) return absl::InvalidArgumentError("the folder " + flags.misses + " cannot be made");
  }
  options.queries = flags.queries;
  options.distractors = flags.distractors;
  options.products = flags.products;
  options.seed = flags.seed;
  options.threads = flags.threads == 0 ? AvailableThreads() : flags.threads;
  if (flags.vocabulary.empty()) {
    LIKENESS_ASSIGN_OR_RETURN(options.vocabulary, FindVocabulary(common.home));
  } else {
    options.vocabulary = flags.vocabulary;
  }
  absl::StatusOr<DuplicateReport> report = absl::InternalError("");
  {
    ProgressBar bar;
    report = EvaluateDuplicates(
        options, [&bar](std::string_view stage, size_t done, size_t total) { bar.Show(stage, done, total); });
  }
  LIKENESS_RETURN_IF_ERROR(report.status());
  CommandOutput output;
  output.json = nlohmann::ordered_json::parse(DuplicateReportToJson(*report), nullptr, /*allow_exceptions=*/false);
  output.text = DuplicateReportToText(*report);
  output.failed = !report->ok();
  return output;
}

}  // namespace

void AddEvalDuplicates(Program& program, CLI::App* eval) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = program.Add(
      "duplicates", "Are altered copies of a picture found, and different photographs told apart?",
      [&program, flags] { return Run(program.flags, *flags); }, eval);
  command->add_option("--data", flags->data, "The folder with ccp/photos, clothing and products/images")
      ->capture_default_str();
  command->add_option("--queries", flags->queries, "Pictures that are altered, once for each row")
      ->capture_default_str();
  command->add_option("--distractors", flags->distractors, "Other pictures that are searched")->capture_default_str();
  command->add_option("--products", flags->products, "Pictures of products that are asked for")->capture_default_str();
  command->add_option("--seed", flags->seed, "Of everything that is drawn")->capture_default_str();
  command->add_option("--vocabulary", flags->vocabulary, "A vocabulary's file; default: the default vocabulary");
  command->add_option("--cache", flags->cache, "Keep features in this file between evaluations");
  command->add_option("--dump", flags->dump, "Write every pair that was compared to this file");
  command->add_option("--misses", flags->misses, "Write the altered copies whose original is not found to this folder");
  command->add_option("--same", flags->scenes, "A file of more pairs that are one photograph: docs/duplicates.md");
  command->add_option("--rows", flags->rows, "Ask these rows alone, \"text\" say; default: all");
  command->add_option("--threads", flags->threads, "Threads; 0: one for each processor")->capture_default_str();
}

}  // namespace likeness
