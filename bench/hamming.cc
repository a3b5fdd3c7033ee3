// The exact scan, one core, codes out of cache: one query against the memory it reads, and many at once in distances a
// second.
//
// The yardstick is the fastest of several plain loops that read the same bytes and do nothing else, timed in turn with
// the scans, and every scan must find what a plain loop finds. A batch of queries goes over a part of the codes,
// another each time, and a sample of its queries must find what the scan for one finds.
//
// Times are of the thread's own processor time, so that other work on the machine does not count as slowness of either.
//
// LIKENESS_BENCH_BYTES sets how many bytes of codes there are (default 2 GiB: server processors have caches of half a
// gigabyte).
#include "kernel/hamming.h"

#include <sys/mman.h>
#include <time.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "base/random.h"
#include "bench/report.h"
#include "kernel/cpu.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace likeness {
namespace {

constexpr size_t kBest = 100;
constexpr int kRepeats = 9;

// Where readers leave what they read: the compiler cannot know that nobody looks.
volatile uint64_t sink;

void ReadPlain(std::span<const uint64_t> words) {
  uint64_t sum[8] = {};
  for (size_t i = 0; i + 8 <= words.size(); i += 8) {
    for (size_t j = 0; j < 8; ++j) sum[j] ^= words[i + j];
  }
  sink = sum[0] ^ sum[1] ^ sum[2] ^ sum[3] ^ sum[4] ^ sum[5] ^ sum[6] ^ sum[7];
}

#if defined(__x86_64__)
// One stream from front to back, or several at once from different parts; a prefetch ahead, or the processor's own.
template <size_t kStreams, size_t kAheadBytes, size_t kFarBytes = 0>
__attribute__((target("avx512f"))) void ReadAvx512(std::span<const uint64_t> words) {
  const size_t part = words.size() / kStreams / 32 * 32;
  __m512i sum[4] = {};
  for (size_t i = 0; i < part; i += 32) {
    for (size_t s = 0; s < kStreams; ++s) {
      const uint64_t* at = words.data() + s * part + i;
      for (size_t j = 0; j < 4; ++j) {
        if (kAheadBytes != 0) _mm_prefetch(reinterpret_cast<const char*>(at + 8 * j) + kAheadBytes, _MM_HINT_T0);
        if (kFarBytes != 0) _mm_prefetch(reinterpret_cast<const char*>(at + 8 * j) + kFarBytes, _MM_HINT_T1);
        sum[j] = _mm512_xor_si512(sum[j], _mm512_loadu_si512(at + 8 * j));
      }
    }
  }
  alignas(64) uint64_t lanes[8];
  _mm512_store_si512(lanes, _mm512_xor_si512(_mm512_xor_si512(sum[0], sum[1]), _mm512_xor_si512(sum[2], sum[3])));
  sink = lanes[0] ^ lanes[1] ^ lanes[2] ^ lanes[3] ^ lanes[4] ^ lanes[5] ^ lanes[6] ^ lanes[7];
}
#endif

double ThreadSeconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

struct Reader {
  std::string name;
  void (*read)(std::span<const uint64_t>);
};

std::vector<Reader> Readers() {
  std::vector<Reader> readers{{"read_plain", ReadPlain}};
#if defined(__x86_64__)
  if (AvailableCpuLevels().back() >= CpuLevel::kAvx512) {
    readers.push_back({"read_avx512", ReadAvx512<1, 0>});
    readers.push_back({"read_avx512_ahead_1k", ReadAvx512<1, 1024>});
    readers.push_back({"read_avx512_ahead_4k", ReadAvx512<1, 4096>});
    readers.push_back({"read_avx512_ahead_1k_4k", ReadAvx512<1, 1024, 4096>});
    readers.push_back({"read_avx512_ahead_512_2k", ReadAvx512<1, 512, 2048>});
    readers.push_back({"read_avx512_2_streams", ReadAvx512<2, 0>});
    readers.push_back({"read_avx512_4_streams", ReadAvx512<4, 0>});
    readers.push_back({"read_avx512_4_streams_ahead_1k", ReadAvx512<4, 1024>});
  }
#endif
  return readers;
}

// Anonymous memory in large pages where the system has them, filled with pseudo-random bits.
std::span<uint64_t> RandomWords(size_t bytes) {
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) BenchFail("not enough memory: set LIKENESS_BENCH_BYTES lower");
  (void)::madvise(memory, bytes, MADV_HUGEPAGE);
  const std::span<uint64_t> words(static_cast<uint64_t*>(memory), bytes / sizeof(uint64_t));
  Random random(1);
  for (uint64_t& word : words) word = random();
  return words;
}

// Scalar truth, sorted: what every level must find.
std::vector<uint64_t> Truth(CodeRows codes, std::span<const uint64_t> query) {
  TopK best(kBest);
  for (size_t r = 0; r < codes.rows(); ++r) {
    uint32_t bits = 0;
    for (size_t i = 0; i < codes.words; ++i) {
      bits += static_cast<uint32_t>(std::popcount(codes.data[r * codes.words + i] ^ query[i]));
    }
    best.Offer(RankedKey(bits, static_cast<uint32_t>(r)));
  }
  return best.TakeSorted();
}

// How many distances a second are the least that is worth having, and for which bits.
struct BatchBar {
  CpuLevel level;
  size_t bits;
  double distances;  // 10^9 a second
};
constexpr BatchBar kBatchBars[] = {{CpuLevel::kAmx, 256, 4.0},
                                   {CpuLevel::kAmx, 4096, 0.25},
                                   {CpuLevel::kAvx512, 256, 1.0},
                                   {CpuLevel::kAvx512, 4096, 0.06}};

// Many queries in one pass, the best ten of each kept.
void RunBatches(std::span<const uint64_t> words, BenchReport& report) {
  constexpr size_t kQueries = 128, kChecked = 8, kKept = 10, kParts = 16, kRounds = 5;
  struct Batch {
    size_t bits;
    CpuLevel level;
    bool right = true;
    std::vector<double> rates;
  };
  std::vector<Batch> batches;
  for (const size_t bits : {256, 1024, 4096}) {
    for (const CpuLevel level : AvailableCpuLevels()) {
      if (level != CpuLevel::kScalar) batches.push_back({bits, level, true, {}});
    }
  }
  size_t next = 0;
  for (size_t round = 0; round < kRounds; ++round) {
    for (Batch& batch : batches) {
      const size_t length = batch.bits / 64, part = words.size() / kParts / length * length;
      CodeRows codes{words.subspan(next++ % kParts * part, part), length};
      if (batch.level == CpuLevel::kAvx2) codes.data = codes.data.first(part / 8 / length * length);
      std::vector<uint64_t> queries(kQueries * length);
      Random random(batch.bits + round);
      for (uint64_t& word : queries) word = random();
      std::vector<TopK> best(kQueries, TopK(kKept));
      const ForceCpuLevelForTest force(batch.level);
      const double start = ThreadSeconds();
      HammingNearestBatch(codes, {queries, length}, {}, best);
      batch.rates.push_back(static_cast<double>(codes.rows() * kQueries) / 1e9 / (ThreadSeconds() - start));
      for (size_t q = round; q < kQueries; q += kQueries / kChecked) {
        TopK alone(kKept);
        HammingNearest(codes, std::span(queries).subspan(q * length, length), {}, alone);
        batch.right = batch.right && best[q].TakeSorted() == alone.TakeSorted();
      }
    }
  }
  for (const Batch& batch : batches) {
    BenchResult result{.name = "batch_" + std::to_string(batch.bits) + "_" + std::string(CpuLevelName(batch.level)),
                       .value = Median(batch.rates),
                       .unit = "10^9 distances/s",
                       .right = batch.right};
    for (const BatchBar& bar : kBatchBars) {
      if (bar.level == batch.level && bar.bits == batch.bits) result.bar = bar.distances;
    }
    report.Add(std::move(result));
  }
}

int Run() {
  const char* wanted = std::getenv("LIKENESS_BENCH_BYTES");
  const size_t bytes = (wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : size_t{2} << 30) / 4096 * 4096;
  if (bytes == 0) BenchFail("LIKENESS_BENCH_BYTES must be a number of bytes, 4096 or more");
  BenchReport report("hamming");
  BenchReport::Say("filling " + std::to_string(bytes >> 20) + " MiB of codes");
  const std::span<const uint64_t> words = RandomWords(bytes);

  struct Scan {
    size_t bits;
    CpuLevel level;
    std::vector<uint64_t> query;
    std::vector<uint64_t> truth;
    bool right = true;
    std::vector<double> seconds;
  };
  std::vector<Scan> scans;
  for (const size_t bits : {256, 512, 1024, 4096}) {
    std::vector<uint64_t> query(bits / 64);
    Random random(bits);
    for (uint64_t& word : query) word = random();
    const std::vector<uint64_t> truth = Truth({words, query.size()}, query);
    for (const CpuLevel level : AvailableCpuLevels()) {
      if (level != CpuLevel::kAmx) scans.push_back({bits, level, query, truth, true, {}});  // has no use for one query
    }
  }
  const std::vector<Reader> readers = Readers();
  std::vector<std::vector<double>> reads(readers.size());

  // In turn, so that what else the machine does meanwhile falls on all alike.
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    for (size_t i = 0; i < readers.size(); ++i) {
      const double start = ThreadSeconds();
      readers[i].read(words);
      reads[i].push_back(ThreadSeconds() - start);
    }
    for (Scan& scan : scans) {
      if (scan.level == CpuLevel::kScalar && repeat % 3 != 0) continue;  // slow, and far from any bar
      const ForceCpuLevelForTest force(scan.level);
      TopK best(kBest);
      const double start = ThreadSeconds();
      HammingNearest({words, scan.query.size()}, scan.query, {}, best);
      scan.seconds.push_back(ThreadSeconds() - start);
      scan.right = scan.right && best.TakeSorted() == scan.truth;
    }
  }

  const double gigabytes = static_cast<double>(bytes) / 1e9;
  double bandwidth = 0;
  for (size_t i = 0; i < readers.size(); ++i) {
    const double rate = gigabytes / Median(reads[i]);
    bandwidth = std::max(bandwidth, rate);
    report.Add({.name = readers[i].name, .value = rate, .unit = "GB/s"});
  }
  report.Add({.name = "bandwidth", .value = bandwidth, .unit = "GB/s"});
  const auto rate_of = [&](size_t bits, CpuLevel level) {
    for (const Scan& scan : scans) {
      if (scan.bits == bits && scan.level == level) return gigabytes / Median(scan.seconds);
    }
    return 0.0;
  };
  const CpuLevel best_level = std::min(AvailableCpuLevels().back(), CpuLevel::kAvx512);
  for (const Scan& scan : scans) {
    const std::string name = "scan_" + std::to_string(scan.bits) + "_" + std::string(CpuLevelName(scan.level));
    const double rate = rate_of(scan.bits, scan.level);
    report.Add({.name = name, .value = rate, .unit = "GB/s", .right = scan.right});
    if (scan.level != best_level) continue;
    const std::string of = "scan_" + std::to_string(scan.bits);
    report.Add({.name = of + "_of_bandwidth",
                .value = rate / bandwidth,
                .unit = "of the read bandwidth of the same run",
                .bar = 0.90,
                .right = scan.right});
    for (const CpuLevel level : AvailableCpuLevels()) {
      if (level >= best_level) continue;
      report.Add({.name = of + "_over_" + std::string(CpuLevelName(level)),
                  .value = rate / rate_of(scan.bits, level),
                  .unit = "times as fast",
                  .right = scan.right});
    }
  }
  RunBatches(words, report);
  return report.Finish();
}

}  // namespace
}  // namespace likeness

int main() { return likeness::Run(); }
