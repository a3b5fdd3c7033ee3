#include "bench/codes.h"

#include <time.h>

#include <array>
#include <cmath>

#include "base/random.h"
#include "base/thread_pool.h"
#include "bench/report.h"

namespace likeness {
namespace {

constexpr uint64_t kSeedOfSet = 20261122;
constexpr size_t kLatent = 24, kGroups = 1000;
constexpr size_t kPiece = 4096;

// Each bit is 1 with probability flip, to 1 in 2^32: a comparison of random numbers, bit by bit, 64 at once.
uint64_t Flips(Random& random, double flip) {
  const auto limit = static_cast<uint64_t>(flip * 4294967296.0);
  uint64_t below = 0, equal = ~uint64_t{0};
  for (int bit = 31; bit >= 0 && equal != 0; --bit) {
    const uint64_t draw = random();
    if ((limit >> bit & 1) != 0) {
      below |= equal & ~draw;
      equal &= draw;
    } else {
      equal &= ~draw;
    }
  }
  return below;
}

void FillCenters(const CodeSet& set, Random& random, std::span<uint64_t> codes) {
  const size_t words = set.bits / 64;
  Codes centers(set.centers * words);
  Random of_set(kSeedOfSet);
  for (uint64_t& word : centers) word = of_set();
  for (size_t i = 0; i < codes.size(); i += words) {
    const size_t center = random.Below(set.centers);
    for (size_t w = 0; w < words; ++w) codes[i + w] = centers[center * words + w] ^ Flips(random, set.flip);
  }
}

void FillLatent(const CodeSet& set, uint64_t seed, std::span<uint64_t> codes) {
  const size_t words = set.bits / 64;
  std::vector<float> planes(set.bits * kLatent), groups(kGroups * kLatent);
  Random of_set(kSeedOfSet);
  for (float& x : planes) x = static_cast<float>(of_set.Normal());
  for (float& x : groups) x = static_cast<float>(of_set.Normal());
  const size_t rows = codes.size() / words;
  ParallelFor((rows + kPiece - 1) / kPiece, AvailableThreads(), [&](size_t piece) {
    Random random(seed * 1'000'003 + piece);
    std::array<float, kLatent> point;
    for (size_t row = piece * kPiece; row < std::min(rows, (piece + 1) * kPiece); ++row) {
      const size_t group = random.Below(kGroups);
      for (size_t d = 0; d < kLatent; ++d)
        point[d] = groups[group * kLatent + d] + 0.7f * static_cast<float>(random.Normal());
      for (size_t bit = 0; bit < set.bits; ++bit) {
        float sum = 0;
        for (size_t d = 0; d < kLatent; ++d) sum += planes[bit * kLatent + d] * point[d];
        if (sum > 0) codes[row * words + bit / 64] |= uint64_t{1} << (bit % 64);
      }
    }
  });
}

}  // namespace

Codes MakeCodes(const CodeSet& set, size_t count, uint64_t seed) {
  if (set.bits == 0 || set.bits % 64 != 0) BenchFail("codes have a multiple of 64 bits");
  Codes codes(count * (set.bits / 64), 0);
  Random random(seed);
  if (set.kind == "centers") {
    FillCenters(set, random, codes);
  } else if (set.kind == "latent") {
    FillLatent(set, seed, codes);
  } else if (set.kind == "random") {
    for (uint64_t& word : codes) word = random();
  } else {
    BenchFail("there are no codes of the kind " + set.kind);
  }
  return codes;
}

double ThreadSeconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace likeness
