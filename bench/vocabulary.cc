// A vocabulary of 100,000 words learned from two million descriptors of real pictures on two cores: how long it takes,
// and how often the search for a word finds the nearest one of all.
//
//   bench_vocabulary [WORDS [DESCRIPTORS [THREADS]]]
#include "feature/vocabulary.h"

#include <time.h>

#include <algorithm>
#include <cstdlib>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/file.h"
#include "bench/files.h"
#include "bench/report.h"
#include "image/decode.h"
#include "learn/vocabulary_trainer.h"
#include "tests/support/scratch_folder.h"

namespace likeness {
namespace {

double ProcessSeconds(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

std::vector<std::filesystem::path> AllPictures() {
  std::vector<std::filesystem::path> files;
  for (const char* set : {"ccp", "products", "clothing"}) {
    for (auto& file : BenchFiles(set)) files.push_back(std::move(file));
  }
  return files;
}

int32_t PlainDistance(std::span<const uint8_t> a, std::span<const uint8_t> b) {
  int32_t sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (int32_t{a[i]} - b[i]) * (int32_t{a[i]} - b[i]);
  return sum;
}

// Looks words up for the descriptors of some pictures, beside a look at all words.
void Judge(const Vocabulary& vocabulary, const std::vector<std::filesystem::path>& files, BenchReport& report) {
  size_t looked_up = 0, agree = 0, exact_right = 0, checked = 0;
  double seconds = 0;
  for (size_t i = 0; i < 24; ++i) {
    const auto pixels = DecodeImage(AsBytes(*ReadFile(files[(2 * i + 1) * files.size() / 48])), {}, kStandardSize);
    if (!pixels.ok()) continue;
    const LocalFeatures features = *ExtractLocal(*pixels);
    std::vector<WordMatch> found(features.size()), exact(features.size());
    const double start = ProcessSeconds(CLOCK_THREAD_CPUTIME_ID);
    for (size_t j = 0; j < features.size(); ++j) {
      vocabulary.search().Nearest(features.descriptor(j), WordSearch::kDefaultProbes, std::span(&found[j], 1));
    }
    seconds += ProcessSeconds(CLOCK_THREAD_CPUTIME_ID) - start;
    for (size_t j = 0; j < features.size(); j += 4) {
      vocabulary.search().Nearest(features.descriptor(j), vocabulary.search().cells(), std::span(&exact[j], 1));
      agree += found[j].distance == exact[j].distance;
      ++checked;
      if (j % 64 != 0) continue;
      int32_t nearest = exact[j].distance;  // a plain loop finds nothing nearer
      for (size_t w = 0; w < vocabulary.size(); ++w) {
        nearest = std::min(nearest, PlainDistance(features.descriptor(j), vocabulary.words().subspan(128 * w, 128)));
      }
      exact_right += nearest != exact[j].distance;
    }
    looked_up += features.size();
  }
  report.Add({.name = "agreement",
              .value = static_cast<double>(agree) / static_cast<double>(checked),
              .unit = "of words are the nearest of all",
              .bar = 0.9,
              .right = exact_right == 0});
  report.Add({.name = "lookup", .value = 1e6 * seconds / static_cast<double>(looked_up), .unit = "us a descriptor"});
}

int Run(const VocabularyOptions& options) {
  BenchReport report("vocabulary");
  const std::vector<std::filesystem::path> files = AllPictures();
  TrainingPictures pictures;
  pictures.count = files.size();
  pictures.read = [&files](size_t i) { return ReadFile(files[i]); };
  pictures.digest = std::to_string(files.size());
  const ScratchFolder scratch;
  const auto out = scratch.path() / "bench.safetensors";

  const Stopwatch watch;
  double gathered = 0, gathered_cpu = 0;
  std::string last;
  TrainingControl control;
  control.progress = [&](std::string_view stage, uint64_t, uint64_t total) {
    if (stage == last) return;
    if (last == "descriptors") {
      gathered = watch.Milliseconds() / 1e3;
      gathered_cpu = ProcessSeconds(CLOCK_PROCESS_CPUTIME_ID);
    }
    last = stage;
    BenchReport::Say(last + ", " + std::to_string(total) + " descriptors, after " +
                     std::to_string(watch.Milliseconds() / 1000) + " s");
  };
  const auto trained = TrainVocabulary(pictures, options, out, control);
  if (!trained.ok()) BenchFail(MessageOf(trained.status()));
  const double seconds = watch.Milliseconds() / 1e3, cpu = ProcessSeconds(CLOCK_PROCESS_CPUTIME_ID);
  const auto vocabulary = Vocabulary::Open(out);
  if (!vocabulary.ok()) BenchFail(MessageOf(vocabulary.status()));

  const double enough = static_cast<double>(options.descriptors);
  report.Add({.name = "train",
              .value = (seconds - gathered) / 60,
              .unit = "minutes from descriptors to vocabulary",
              .bar = 10,
              .better = BenchResult::Better::kLower,
              .right = static_cast<double>(trained->descriptors) >= enough});
  report.Add({.name = "train_processor", .value = (cpu - gathered_cpu) / 60, .unit = "minutes of processors"});
  report.Add({.name = "gather", .value = gathered / 60, .unit = "minutes from pictures to descriptors"});
  report.Add({.name = "gather_processor", .value = gathered_cpu / 60, .unit = "minutes of processors"});
  report.Add({.name = "descriptors", .value = static_cast<double>(trained->descriptors), .unit = "of real pictures"});
  report.Add({.name = "words", .value = static_cast<double>(trained->words), .unit = "words"});
  report.Add({.name = "empty_words", .value = static_cast<double>(trained->empty_words), .unit = "words"});
  report.Add(
      {.name = "distance", .value = trained->mean_distance / 512, .unit = "of a descriptor's length to its word"});
  Judge(**vocabulary, files, report);
  return report.Finish();
}

}  // namespace
}  // namespace likeness

int main(int argc, char** argv) {
  const auto argument = [&](int i, uint64_t otherwise) {
    return argc > i ? std::max<uint64_t>(1, std::strtoull(argv[i], nullptr, 10)) : otherwise;
  };
  likeness::VocabularyOptions options;
  options.words = argument(1, 100'000);
  options.descriptors = argument(2, 2'000'000);
  options.threads = argument(3, 2);
  return likeness::Run(options);
}
