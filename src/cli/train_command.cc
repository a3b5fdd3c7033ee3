// likeness train: makes what features need to know beforehand.
#include <algorithm>
#include <filesystem>

#include "base/bytes.h"
#include "base/file.h"
#include "base/thread_pool.h"
#include "cli/command.h"
#include "cli/progress_bar.h"
#include "cli/rank_commands.h"
#include "learn/vocabulary_trainer.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kLargestFile = 1 << 28;  // bytes of a picture that is read

struct VocabularyFlags {
  std::vector<std::string> data;
  std::string out;
  VocabularyOptions options;
};

// Pictures of several folders and homes as one list.
struct PictureList {
  std::vector<std::function<absl::StatusOr<std::string>()>> read;
  std::string names;  // one a line
};

absl::Status AddFolderPictures(const fs::path& folder, PictureList& list) {
  std::vector<std::string> files;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    if (entry->path().filename().string().starts_with('.')) {
      entry.disable_recursion_pending();
    } else if (entry->is_regular_file(error)) {
      files.push_back(entry->path().lexically_relative(folder).string());
    }
  }
  if (error) return ErrnoStatus(error.value(), "cannot list " + folder.string());
  std::ranges::sort(files);
  for (const std::string& file : files) {
    list.names += file + "\n";
    list.read.push_back([path = folder / file] { return ReadFile(path, kLargestFile); });
  }
  return absl::OkStatus();
}

absl::Status AddHomePictures(const fs::path& path, PictureList& list) {
  LIKENESS_ASSIGN_OR_RETURN(std::unique_ptr<Home> opened, Home::Open(path, /*create=*/false));
  const std::shared_ptr<Home> home = std::move(opened);
  std::vector<Signature> signatures;
  LIKENESS_RETURN_IF_ERROR(home->catalog().CutShards(home->config().shard_images).status());
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<ShardRecord> shards, home->catalog().Shards());
  for (const ShardRecord& shard : shards) {
    LIKENESS_ASSIGN_OR_RETURN(const std::vector<Signature> members, home->catalog().ShardSignatures(shard.id));
    signatures.insert(signatures.end(), members.begin(), members.end());
  }
  std::ranges::sort(signatures);
  for (const Signature& signature : signatures) {
    list.names += signature.Hex() + "\n";
    list.read.push_back([home, signature]() -> absl::StatusOr<std::string> {
      LIKENESS_ASSIGN_OR_RETURN(const std::optional<ImageRecord> image, home->catalog().Image(signature));
      if (!image) return absl::NotFoundError("an image that was removed");
      return home->ReadImage(*image);
    });
  }
  return absl::OkStatus();
}

absl::StatusOr<PictureList> ListPictures(const CommonFlags& common, const VocabularyFlags& flags) {
  PictureList list;
  std::vector<std::string> data = flags.data;
  if (data.empty()) data.push_back(common.home.string());
  for (const std::string& source : data) {
    std::error_code error;
    if (!fs::is_directory(source, error)) return absl::NotFoundError("there is no folder " + source);
    const bool home =
        fs::exists(fs::path(source) / "catalog.sqlite", error) || fs::exists(fs::path(source) / "likeness.toml", error);
    LIKENESS_RETURN_IF_ERROR(home ? AddHomePictures(source, list) : AddFolderPictures(source, list));
  }
  if (list.read.empty()) return absl::NotFoundError("there are no pictures in " + data.front());
  return list;
}

absl::StatusOr<CommandOutput> RunTrainVocabulary(const CommonFlags& common, const VocabularyFlags& flags) {
  LIKENESS_ASSIGN_OR_RETURN(const PictureList list, ListPictures(common, flags));
  TrainingPictures pictures;
  pictures.count = list.read.size();
  pictures.read = [&list](size_t i) { return list.read[i](); };
  pictures.digest = Sha256Hex(AsBytes(list.names));
  const std::string out =
      flags.out.empty() ? (common.home / "vocabularies" / "default.safetensors").string() : flags.out;
  absl::StatusOr<VocabularyReport> report;
  {
    ProgressBar bar;
    TrainingControl control;
    control.progress = [&bar](std::string_view stage, uint64_t done, uint64_t total) { bar.Show(stage, done, total); };
    control.stop = &StopFlag();
    report = TrainVocabulary(pictures, flags.options, out, control);
  }
  if (!report.ok()) return report.status();
  CommandOutput output;
  output.json = {{"vocabulary", out},
                 {"digest", report->digest},
                 {"words", report->words},
                 {"descriptors", report->descriptors},
                 {"pictures", report->pictures},
                 {"unreadable", report->unreadable},
                 {"empty_words", report->empty_words},
                 {"mean_distance", report->mean_distance}};
  output.text = "learned " + std::to_string(report->words) + " words from " + std::to_string(report->descriptors) +
                " descriptors of " + std::to_string(report->pictures) + " pictures: " + out + "\n";
  return output;
}

}  // namespace

void AddTrainCommand(Program& program) {
  auto flags = std::make_shared<VocabularyFlags>();
  flags->options.threads = AvailableThreads();
  CLI::App* train = program.Add("train", "Learn what features need to know beforehand", nullptr);
  train->require_subcommand(1);
  AddTrainFloor(program, train);
  AddTrainRanker(program, train);
  CLI::App* command = program.Add(
      "vocabulary", "Learn visual words for local features; a run that was stopped goes on",
      [&program, flags] { return RunTrainVocabulary(program.flags, *flags); }, train);
  command->add_option("--data", flags->data, "Folders of pictures, or homes; default: the home");
  command->add_option("--words", flags->options.words, "How many")->capture_default_str();
  command->add_option("--out", flags->out,
                      "The file to write; default: that which this home uses from now on, "
                      "HOME/vocabularies/default.safetensors");
  command->add_option("--descriptors", flags->options.descriptors,
                      "To learn from at most; default: 20 for each word, at least 500,000");
  command->add_option("--rounds", flags->options.rounds, "Of k-means")->capture_default_str();
  command->add_option("--seed", flags->options.seed)->capture_default_str();
  command->add_option("--threads", flags->options.threads)->check(CLI::Range(1, 1024))->capture_default_str();
}

}  // namespace likeness
