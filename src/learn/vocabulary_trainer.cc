#include "learn/vocabulary_trainer.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/file.h"
#include "feature/rotation.h"
#include "feature/vocabulary.h"
#include "learn/descriptor_sample.h"
#include "learn/word_means.h"
#include "store/safetensors.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

constexpr size_t kSize = kLocalDescriptorSize;
constexpr uint64_t kFewestDescriptors = 500'000;

// The words after some rounds, as they lie in the work folder.
struct Checkpoint {
  uint32_t rounds = 0;
  std::vector<uint8_t> words;
};

SafetensorsMetadata CheckpointMetadata(const VocabularyOptions& options, uint64_t descriptors, uint32_t rounds) {
  return {{"format", "likeness.vocabulary-rounds"},
          {"format_version", "1"},
          {"seed", std::to_string(options.seed)},
          {"trained_on", std::to_string(descriptors)},
          {"rounds", std::to_string(rounds)}};
}

absl::Status WriteCheckpoint(const fs::path& path, const Checkpoint& checkpoint, const SafetensorsMetadata& metadata) {
  const TensorData words = {{"words", Dtype::kU8, {checkpoint.words.size() / kSize, kSize}},
                            std::as_bytes(std::span(checkpoint.words))};
  LIKENESS_ASSIGN_OR_RETURN(const std::string bytes, WriteSafetensors(std::span(&words, 1), metadata));
  return WriteFileAtomic(path, std::as_bytes(std::span(bytes)));
}

// Nothing kept, or nothing that fits, is a beginning.
Checkpoint ReadCheckpoint(const fs::path& path, const VocabularyOptions& options, uint64_t descriptors) {
  const auto read = [&]() -> absl::StatusOr<Checkpoint> {
    LIKENESS_ASSIGN_OR_RETURN(const auto mapped, MappedFile::Open(path));
    LIKENESS_ASSIGN_OR_RETURN(const Safetensors file, Safetensors::Open(Blob(mapped, mapped->bytes())));
    LIKENESS_RETURN_IF_ERROR(file.VerifyChecksum());
    LIKENESS_ASSIGN_OR_RETURN(const auto words, file.Elements<uint8_t>("words", Dtype::kU8));
    for (uint32_t rounds = 1; rounds <= options.rounds; ++rounds) {
      SafetensorsMetadata metadata = CheckpointMetadata(options, descriptors, rounds);
      metadata["checksum"] = file.metadata().at("checksum");
      if (file.metadata() != metadata || words.size() != options.words * kSize) continue;
      return Checkpoint{rounds, {words.begin(), words.end()}};
    }
    return absl::NotFoundError("of another training");
  }();
  return read.ok() ? *read : Checkpoint{};
}

// A seed for each use and round.
uint64_t SeedOf(const VocabularyOptions& options, uint64_t use, uint64_t round = 0) {
  return options.seed * 1'000'003 + use * 1'009 + round;
}

}  // namespace

absl::StatusOr<VocabularyReport> TrainVocabulary(const TrainingPictures& pictures, const VocabularyOptions& options,
                                                 const fs::path& out, const TrainingControl& control) {
  if (options.words == 0 || options.words > kMostTrainedWords) {
    return absl::InvalidArgumentError("a vocabulary has 1 to " + std::to_string(kMostTrainedWords) + " words, not " +
                                      std::to_string(options.words));
  }
  const fs::path work = out.string() + ".work", rounds_path = work / "rounds.safetensors";
  SampleOptions sampling;
  sampling.most =
      options.descriptors != 0 ? options.descriptors : std::max(options.words * kDescriptorsAWord, kFewestDescriptors);
  sampling.seed = SeedOf(options, 1);
  sampling.threads = options.threads;
  LIKENESS_ASSIGN_OR_RETURN(const DescriptorSample sample, GatherDescriptors(pictures, sampling, work, control));
  const std::span<const uint8_t> rows = sample.rows();
  const uint64_t descriptors = rows.size() / kSize;
  if (descriptors < options.words) {
    return absl::InvalidArgumentError("the pictures have " + std::to_string(descriptors) +
                                      " descriptors, too few for " + std::to_string(options.words) +
                                      " words: give more pictures, or fewer --words");
  }

  Checkpoint checkpoint = ReadCheckpoint(rounds_path, options, descriptors);
  if (checkpoint.rounds == 0) checkpoint.words = DrawWords(rows, options.words, SeedOf(options, 2));
  while (checkpoint.rounds < options.rounds) {
    const WordCells cells = GroupWords(checkpoint.words, SeedOf(options, 3, checkpoint.rounds), options.threads);
    const std::string stage =
        "round " + std::to_string(checkpoint.rounds + 1) + " of " + std::to_string(options.rounds);
    LIKENESS_ASSIGN_OR_RETURN(const WordsOfRows assigned,
                              FindWords(rows, WordSearch(checkpoint.words, cells), options.threads, stage, control));
    checkpoint.words = MeansOf(rows, assigned, SeedOf(options, 4, checkpoint.rounds), options.threads);
    ++checkpoint.rounds;
    LIKENESS_RETURN_IF_ERROR(
        WriteCheckpoint(rounds_path, checkpoint, CheckpointMetadata(options, descriptors, checkpoint.rounds)));
  }

  VocabularyParts parts;
  parts.words = std::move(checkpoint.words);
  parts.cells = GroupWords(parts.words, SeedOf(options, 3, options.rounds), options.threads);
  LIKENESS_ASSIGN_OR_RETURN(const WordsOfRows assigned,
                            FindWords(rows, WordSearch(parts.words, parts.cells), options.threads, "medians", control));
  parts.projection = RandomRotation(kWordSignatureBits, kSize, SeedOf(options, 5));
  parts.medians = MediansOf(rows, assigned, parts.words, parts.projection, options.threads);
  parts.seed = options.seed;
  parts.trained_on = descriptors;
  parts.rounds = options.rounds;
  LIKENESS_RETURN_IF_ERROR(WriteVocabulary(out, parts));

  VocabularyReport report;
  LIKENESS_ASSIGN_OR_RETURN(report.digest, ReadVocabularyDigest(out));
  report.words = options.words;
  report.descriptors = descriptors;
  report.pictures = sample.pictures;
  report.unreadable = sample.unreadable;
  for (size_t w = 0; w < options.words; ++w) report.empty_words += assigned.begins[w] == assigned.begins[w + 1];
  report.mean_distance = std::sqrt(static_cast<double>(assigned.total_distance) / static_cast<double>(descriptors));
  std::error_code error;
  fs::remove_all(work, error);
  return report;
}

}  // namespace likeness
