// Queries that run together get what each would have got alone.
#include "serve/batched_extractor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <latch>
#include <thread>

#include "infer/model_library.h"
#include "support/scratch_folder.h"
#include "support/tiny_model.h"

namespace likeness {
namespace {

constexpr BatchedExtractor::Shape kShape{.tensor = 2, .dimension = 1, .batch = 4};

// The sum of a picture's floats; a picture of -1 fails its whole run.
absl::Status Sums(std::span<const float> tensors, size_t count, std::span<float> vectors) {
  for (size_t i = 0; i < count; ++i) {
    if (tensors[2 * i] == -1) return absl::InternalError("a bad picture");
    vectors[i] = tensors[2 * i] + tensors[2 * i + 1];
  }
  return absl::OkStatus();
}

// Lets the first run wait until `others` more queries do.
class Held {
 public:
  explicit Held(size_t others) : others_(others) {}

  absl::Status Run(std::span<const float> tensors, size_t count, std::span<float> vectors) {
    if (runs_++ == 0) {
      running_.count_down();
      go_.wait();
    }
    most_ = std::max<size_t>(most_, count);
    return Sums(tensors, count, vectors);
  }

  // Answers of one query that runs alone, and then of those that came meanwhile.
  std::vector<absl::StatusOr<std::vector<float>>> Ask(BatchedExtractor& extractor, float bad = 0) {
    std::vector<absl::StatusOr<std::vector<float>>> answers(others_ + 1, std::vector<float>());
    const auto ask = [&](size_t i) {
      const float first = i > 0 && static_cast<float>(i) == bad ? -1 : static_cast<float>(i);
      answers[i] = extractor.Extract(std::vector<float>{first, 100}, Deadline::Never());
    };
    std::vector<std::thread> threads;
    threads.emplace_back(ask, 0);
    running_.wait();
    for (size_t i = 1; i <= others_; ++i) threads.emplace_back(ask, i);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));  // for them to wait; a late one runs alone
    go_.count_down();
    for (std::thread& thread : threads) thread.join();
    return answers;
  }

  int runs() const { return runs_; }
  size_t most() const { return most_; }

 private:
  const size_t others_;
  std::atomic<int> runs_{0};
  size_t most_ = 0;  // runs never overlap
  std::latch running_{1}, go_{1};
};

TEST(BatchedExtractor, ThoseThatWaitRunTogetherAndGetTheirOwn) {
  Held held(7);
  BatchedExtractor extractor(
      kShape, [&](auto tensors, size_t count, auto vectors) { return held.Run(tensors, count, vectors); });
  const auto answers = held.Ask(extractor);
  for (size_t i = 0; i < answers.size(); ++i) {
    ASSERT_TRUE(answers[i].ok());
    EXPECT_EQ(*answers[i], std::vector<float>{100.f + static_cast<float>(i)});
  }
  EXPECT_LE(held.most(), kShape.batch);
  EXPECT_LT(held.runs(), 8) << "none ran together";
}

TEST(BatchedExtractor, ABadPictureHarmsNoOther) {
  Held held(4);
  BatchedExtractor extractor(
      kShape, [&](auto tensors, size_t count, auto vectors) { return held.Run(tensors, count, vectors); });
  const auto answers = held.Ask(extractor, 3);
  for (size_t i = 0; i < answers.size(); ++i) {
    EXPECT_EQ(answers[i].ok(), i != 3) << i;
    if (i != 3) {
      EXPECT_EQ(*answers[i], std::vector<float>{100.f + static_cast<float>(i)});
    }
  }
}

TEST(BatchedExtractor, NobodyWaitsBeyondTheDeadline) {
  std::latch running{1}, go{1};
  BatchedExtractor extractor(kShape, [&](auto tensors, size_t count, auto vectors) {
    running.count_down();
    go.wait();
    return Sums(tensors, count, vectors);
  });
  std::thread first([&] { EXPECT_TRUE(extractor.Extract(std::vector<float>{1, 2}, Deadline::Never()).ok()); });
  running.wait();
  const auto late = extractor.Extract(std::vector<float>{3, 4}, Deadline::After(std::chrono::milliseconds(20)));
  EXPECT_EQ(late.status().code(), absl::StatusCode::kDeadlineExceeded);
  go.count_down();
  first.join();
}

TEST(BatchedExtractor, ANetworkGivesTheSameVectorsInABatch) {
  const ScratchFolder scratch;
  ASSERT_TRUE(InstallTinyModel(scratch.path(), "tiny").ok());
  const auto model = ModelLibrary({scratch.path()}).Find("tiny");
  ASSERT_TRUE(model.ok()) << model.status();
  std::shared_ptr<const DeepExtractor> deep = *DeepExtractor::Create(*model);
  BatchedExtractor extractor(deep);
  ASSERT_TRUE(extractor.Warm().ok());
  constexpr size_t kQueries = 24;
  std::vector<std::vector<float>> tensors(kQueries), alone(kQueries), together(kQueries);
  for (size_t i = 0; i < kQueries; ++i) {
    for (size_t j = 0; j < deep->tensor_size(); ++j) {
      tensors[i].push_back(static_cast<float>((i * 31 + j * 7) % 97) / 97);
    }
    alone[i].resize(deep->dimension());
    ASSERT_TRUE(deep->Extract(tensors[i], 1, alone[i]).ok());
  }
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kQueries; ++i) {
    threads.emplace_back([&, i] { together[i] = *extractor.Extract(tensors[i], Deadline::Never()); });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < kQueries; ++i) {
    for (size_t d = 0; d < deep->dimension(); ++d) ASSERT_NEAR(together[i][d], alone[i][d], 1e-4) << i;
  }
}

}  // namespace
}  // namespace likeness
