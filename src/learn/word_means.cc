#include "learn/word_means.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstring>

#include "base/random.h"
#include "base/thread_pool.h"
#include "feature/vocabulary.h"
#include "kernel/dot.h"

namespace likeness {
namespace {

constexpr size_t kSize = kLocalDescriptorSize, kBits = kWordSignatureBits;
constexpr size_t kTask = 16384;            // rows that a thread takes at once
constexpr size_t kRowsAStep = 16 * kTask;  // between two looks at the stop sign
constexpr size_t kWordTask = 64;
constexpr size_t kMostMembers = 1024;

}  // namespace

std::vector<uint8_t> DrawWords(std::span<const uint8_t> rows, size_t words, uint64_t seed) {
  const size_t n = rows.size() / kSize;
  std::vector<uint32_t> drawn(n);
  for (size_t i = 0; i < n; ++i) drawn[i] = static_cast<uint32_t>(i);
  Random random(seed);
  std::vector<uint8_t> out(words * kSize);
  for (size_t w = 0; w < words; ++w) {
    std::swap(drawn[w], drawn[w + random.Below(n - w)]);
    std::memcpy(out.data() + w * kSize, rows.data() + size_t{drawn[w]} * kSize, kSize);
  }
  return out;
}

absl::StatusOr<WordsOfRows> FindWords(std::span<const uint8_t> rows, const WordSearch& search, size_t threads,
                                      std::string_view stage, const TrainingControl& control) {
  const size_t n = rows.size() / kSize;
  WordsOfRows assigned;
  assigned.word.resize(n);
  std::atomic<uint64_t> total = 0;
  for (size_t step = 0; step < n; step += kRowsAStep) {
    control.progress(stage, step, n);
    if (control.stopped()) return TrainingStopped();
    const size_t end = std::min(n, step + kRowsAStep);
    ParallelFor((end - step + kTask - 1) / kTask, threads, [&](size_t task) {
      uint64_t sum = 0;
      const size_t first = step + task * kTask;
      std::vector<WordMatch> matches(std::min(end, first + kTask) - first);
      search.NearestOfEach(rows.subspan(first * kSize, matches.size() * kSize), WordSearch::kDefaultProbes, matches);
      for (size_t i = 0; i < matches.size(); ++i) {
        assigned.word[first + i] = matches[i].word;
        sum += static_cast<uint64_t>(matches[i].distance);
      }
      total += sum;  // whole numbers: the order does not matter
    });
  }
  control.progress(stage, n, n);
  assigned.total_distance = total;
  assigned.begins.assign(search.words() + 1, 0);
  for (const uint32_t word : assigned.word) ++assigned.begins[word + 1];
  for (size_t w = 0; w < search.words(); ++w) assigned.begins[w + 1] += assigned.begins[w];
  std::vector<uint32_t> next(assigned.begins.begin(), assigned.begins.end() - 1);
  assigned.members.resize(n);
  for (size_t i = 0; i < n; ++i) assigned.members[next[assigned.word[i]]++] = static_cast<uint32_t>(i);
  return assigned;
}

std::vector<uint8_t> MeansOf(std::span<const uint8_t> rows, const WordsOfRows& assigned, uint64_t seed,
                             size_t threads) {
  const size_t words = assigned.begins.size() - 1;
  std::vector<uint8_t> means(words * kSize);
  ParallelFor((words + kWordTask - 1) / kWordTask, threads, [&](size_t task) {
    for (size_t w = task * kWordTask; w < std::min(words, (task + 1) * kWordTask); ++w) {
      std::array<uint64_t, kSize> sums = {};
      const uint64_t count = assigned.begins[w + 1] - assigned.begins[w];
      if (count == 0) continue;
      for (uint32_t m = assigned.begins[w]; m < assigned.begins[w + 1]; ++m) {
        const uint8_t* row = rows.data() + size_t{assigned.members[m]} * kSize;
        for (size_t j = 0; j < kSize; ++j) sums[j] += row[j];
      }
      for (size_t j = 0; j < kSize; ++j) means[w * kSize + j] = static_cast<uint8_t>((sums[j] + count / 2) / count);
    }
  });
  Random random(seed);
  for (size_t w = 0; w < words; ++w) {
    if (assigned.begins[w + 1] != assigned.begins[w]) continue;
    std::memcpy(means.data() + w * kSize, rows.data() + random.Below(rows.size() / kSize) * kSize, kSize);
  }
  return means;
}

std::vector<int8_t> MediansOf(std::span<const uint8_t> rows, const WordsOfRows& assigned,
                              std::span<const uint8_t> words, std::span<const float> projection, size_t threads) {
  const size_t count = words.size() / kSize;
  std::vector<int8_t> medians(count * kBits, 0);
  ParallelFor((count + kWordTask - 1) / kWordTask, threads, [&](size_t task) {
    std::vector<float> projected;  // bit after bit
    for (size_t w = task * kWordTask; w < std::min(count, (task + 1) * kWordTask); ++w) {
      const size_t begin = assigned.begins[w];
      const size_t members = std::min<size_t>(assigned.begins[w + 1] - begin, kMostMembers);
      if (members < kFewMembers) continue;
      projected.resize(members * kBits);
      for (size_t m = 0; m < members; ++m) {
        std::array<float, kSize> difference;
        std::array<float, kBits> values;
        const uint8_t* row = rows.data() + size_t{assigned.members[begin + m]} * kSize;
        for (size_t j = 0; j < kSize; ++j) difference[j] = static_cast<float>(int{row[j]} - int{words[w * kSize + j]});
        MatVec(projection, difference, values);
        for (size_t b = 0; b < kBits; ++b) projected[b * members + m] = values[b];
      }
      for (size_t b = 0; b < kBits; ++b) {
        const auto first = projected.begin() + static_cast<ptrdiff_t>(b * members);
        const auto middle = first + static_cast<ptrdiff_t>(members / 2);
        std::nth_element(first, middle, first + static_cast<ptrdiff_t>(members));
        medians[w * kBits + b] = static_cast<int8_t>(std::lround(std::clamp(*middle / kMedianStep, -127.0f, 127.0f)));
      }
    }
  });
  return medians;
}

}  // namespace likeness
