// A vocabulary is the same however often its training was cut off and with however many threads, and its words lie
// where the descriptors are.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>

#include "base/bytes.h"
#include "base/file.h"
#include "base/random.h"
#include "feature/rotation.h"
#include "feature/vocabulary.h"
#include "image/encode.h"
#include "learn/descriptor_sample.h"
#include "learn/vocabulary_trainer.h"
#include "learn/word_means.h"
#include "support/odd_files.h"
#include "support/scratch_folder.h"

namespace likeness {
namespace {

// Rectangles of random sizes and grays: corners and edges at many scales.
std::string MakePicture(uint64_t seed) {
  Random random(seed);
  Pixels pixels{200, 150, std::vector<uint8_t>(200 * 150 * 3, 120), 200, 150};
  for (int n = 0; n < 150; ++n) {
    const size_t left = random.Below(190), top = random.Below(140), width = 2 + random.Below(30);
    const size_t height = 2 + random.Below(30);
    const auto gray = static_cast<uint8_t>(random());
    for (size_t y = top; y < std::min<size_t>(150, top + height); ++y) {
      for (size_t x = left; x < std::min<size_t>(200, left + width); ++x) {
        for (size_t c = 0; c < 3; ++c) pixels.rgb[(y * 200 + x) * 3 + c] = gray;
      }
    }
  }
  return *EncodeJpeg(pixels, 90);
}

TrainingPictures Pictures(size_t count) {
  TrainingPictures pictures;
  pictures.count = count;
  pictures.digest = "pictures " + std::to_string(count);
  pictures.read = [](size_t i) -> absl::StatusOr<std::string> {
    if (i % 10 == 3) return std::string("no picture at all");
    if (i % 10 == 7) return absl::NotFoundError("gone");
    return MakePicture(i);
  };
  return pictures;
}

VocabularyOptions Options(size_t threads = 1) {
  VocabularyOptions options;
  options.words = 150;
  options.descriptors = 3000;
  options.rounds = 4;
  options.threads = threads;
  return options;
}

TEST(TrainVocabulary, IsTheSameForAnyThreadsAndAnyInterruptions) {
  const ScratchFolder folder;
  const auto plain = folder.path() / "plain.safetensors", cut = folder.path() / "cut.safetensors";
  const auto report = TrainVocabulary(Pictures(60), Options(), plain);
  ASSERT_TRUE(report.ok()) << MessageOf(report.status());
  EXPECT_EQ(report->words, 150u);
  EXPECT_EQ(report->descriptors, 3000u);
  EXPECT_GT(report->unreadable, 0u);
  EXPECT_FALSE(std::filesystem::exists(plain.string() + ".work"));
  EXPECT_EQ((*Vocabulary::Open(plain))->size(), 150u);

  // Stopped at every call of progress in turn, and what a killed process leaves behind added.
  size_t interruptions = 0;
  for (size_t after = 1;; ++after) {
    std::atomic<bool> stop = false;
    size_t calls = 0;
    TrainingControl control;
    control.stop = &stop;
    control.progress = [&](std::string_view, uint64_t, uint64_t) { stop = ++calls >= after; };
    const auto done = TrainVocabulary(Pictures(60), Options(3), cut, control);
    if (done.ok()) break;
    ASSERT_TRUE(absl::IsCancelled(done.status())) << MessageOf(done.status());
    ++interruptions;
    if (interruptions == 1) {
      const auto file = cut.string() + ".work/descriptors.u8";
      ASSERT_TRUE(WriteFileAtomic(file, AsBytes(*ReadFile(file) + "half a row")).ok());
    }
    ASSERT_LT(interruptions, 50u);
  }
  EXPECT_GT(interruptions, 2u);
  EXPECT_EQ(*ReadFile(plain), *ReadFile(cut));

  VocabularyOptions other = Options();
  other.seed = 2;
  ASSERT_TRUE(TrainVocabulary(Pictures(60), other, cut).ok());
  EXPECT_NE(*ReadFile(plain), *ReadFile(cut));
}

TEST(TrainVocabulary, SaysWhatIsWrong) {
  const ScratchFolder folder;
  const auto out = folder.path() / "v.safetensors";
  VocabularyOptions options = Options();
  options.words = 0;
  EXPECT_TRUE(absl::IsInvalidArgument(TrainVocabulary(Pictures(20), options, out).status()));
  options.words = 100'000;
  EXPECT_TRUE(absl::IsInvalidArgument(TrainVocabulary(Pictures(20), options, out).status()));
  // What was begun with some pictures is not finished with others.
  EXPECT_TRUE(absl::IsFailedPrecondition(TrainVocabulary(Pictures(19), options, out).status()));
  TrainingPictures none = Pictures(20);
  none.read = [](size_t) -> absl::StatusOr<std::string> { return std::string(); };
  EXPECT_TRUE(absl::IsInvalidArgument(TrainVocabulary(none, Options(), folder.path() / "n.safetensors").status()));
  EXPECT_FALSE(std::filesystem::exists(out));
}

TEST(WordMeans, MeansAndMediansAreThose) {
  const ScratchFolder folder;
  SampleOptions options;
  options.most = 2500;
  const auto sample = GatherDescriptors(Pictures(40), options, folder.path(), {});
  ASSERT_TRUE(sample.ok()) << MessageOf(sample.status());
  const std::span<const uint8_t> rows = sample->rows();
  const size_t n = rows.size() / kLocalDescriptorSize;
  std::vector<uint8_t> words = DrawWords(rows, 40, 1);
  const WordCells cells = GroupWords(words, 1, 1);
  const WordsOfRows assigned = *FindWords(rows, WordSearch(words, cells), 2, "test", {});
  const std::vector<uint8_t> means = MeansOf(rows, assigned, 1, 2);
  const std::vector<float> projection = RandomRotation(kWordSignatureBits, kLocalDescriptorSize, 1);
  const std::vector<int8_t> medians = MediansOf(rows, assigned, words, projection, 2);
  for (size_t w = 0; w < 40; ++w) {
    std::vector<size_t> members;
    for (size_t i = 0; i < n; ++i) {
      if (assigned.word[i] == w) members.push_back(i);
    }
    ASSERT_EQ(members.size(), assigned.begins[w + 1] - assigned.begins[w]);
    if (members.size() < kFewMembers) continue;
    for (size_t j = 0; j < kLocalDescriptorSize; ++j) {
      double sum = 0;
      for (const size_t i : members) sum += rows[i * kLocalDescriptorSize + j];
      EXPECT_NEAR(means[w * kLocalDescriptorSize + j], sum / static_cast<double>(members.size()), 0.51);
    }
    // Half of the members lie above a median, give or take those that lie on it.
    for (size_t b = 0; b < kWordSignatureBits; b += 13) {
      size_t above = 0, below = 0;
      for (const size_t i : members) {
        double value = 0;
        for (size_t j = 0; j < kLocalDescriptorSize; ++j) {
          value += double{projection[b * kLocalDescriptorSize + j]} *
                   (rows[i * kLocalDescriptorSize + j] - words[w * kLocalDescriptorSize + j]);
        }
        const double median = medians[w * kWordSignatureBits + b] * double{kMedianStep};
        if (std::abs(median) > 31) continue;  // at the end of what is kept
        above += value > median + kMedianStep;
        below += value < median - kMedianStep;
      }
      EXPECT_LE(above, members.size() / 2 + 1);
      EXPECT_LE(below, members.size() / 2 + 1);
    }
  }
  // A round makes words no worse.
  std::vector<uint8_t> better = means;
  const WordCells better_cells = GroupWords(better, 2, 1);
  EXPECT_LT(FindWords(rows, WordSearch(better, better_cells), 1, "test", {})->total_distance, assigned.total_distance);
}

}  // namespace
}  // namespace likeness
