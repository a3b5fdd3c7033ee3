// The token index at a million pictures: how large it is, how fast it opens and answers, what memory it takes.
//
//   bench_tokens [--pictures N] [--postings N] [--words N] [--queries N] [--cache MB] [--folder FOLDER] [--keep]
//
// Pictures are made: 300 keypoints each, with the word frequencies, repetitions and signature distances of photographs
// of the evaluation data under the vocabulary of 10,000 words that comes along. A collection of a million has a
// vocabulary of its own, of 100,000 words (docs/features/local.md): there each measured word stands for ten, with
// shares that vary as those of measured words do. Each query has 512 keypoints, 60 of them of one of the pictures,
// altered; that it comes first is the answer that must be right. No query is asked twice. With --keep the shards stay
// for another run.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/thread_pool.h"
#include "bench/flags.h"
#include "bench/pictures.h"
#include "bench/report.h"
#include "bench/word_statistics.h"
#include "index/token_index.h"
#include "index/token_writer.h"
#include "rank/token_search.h"

namespace likeness {
namespace {

constexpr uint64_t kSeed = 20261122;
constexpr double kP50Bar = 25, kP99Bar = 80, kOpenBar = 100;  // ms
constexpr double kPostingBar = 14;                            // bytes
constexpr size_t kQueryKeypoints = 512, kKept = 60;

struct Options {
  size_t pictures = 1'000'000;
  size_t postings = 300;
  size_t words = 100'000;
  size_t queries = 300;
  size_t cache_mb = 512;
  size_t shard = 200'000;
  std::filesystem::path folder = "build/bench-tokens";
  bool keep = false;
};

Options ParseOptions(int argc, char** argv) {
  Options options;
  ReadBenchFlags(argc, argv,
                 {{"--pictures", &options.pictures},
                  {"--postings", &options.postings},
                  {"--words", &options.words},
                  {"--queries", &options.queries},
                  {"--cache", &options.cache_mb},
                  {"--shard", &options.shard},
                  {"--folder", &options.folder},
                  {"--keep", &options.keep}});
  return options;
}

template <typename Value>
Value Must(absl::StatusOr<Value> value) {
  if (!value.ok()) BenchFail(MessageOf(value.status()));
  return *std::move(value);
}
void Must(const absl::Status& status) {
  if (!status.ok()) BenchFail(MessageOf(status));
}

// A picture is made from its number alone, so that a query can make it again.
void MakePicture(const PictureMaker& maker, const Options& options, size_t number, std::vector<LocalFeature>& picture) {
  Random random(kSeed + number);
  maker.Make(random, options.postings, picture);
}

void WriteShard(const PictureMaker& maker, const Options& options, size_t shard, const std::filesystem::path& path) {
  const auto writer = Must(TokenWriter::Create(path.string() + ".new", {"local", "0123456789ab"}));
  std::vector<LocalFeature> picture;
  std::vector<std::byte> rows;
  const size_t begin = shard * options.shard, end = std::min(options.pictures, begin + options.shard);
  for (size_t number = begin; number < end; ++number) {
    MakePicture(maker, options, number, picture);
    rows.resize(picture.size() * kLocalRowSize);
    for (size_t i = 0; i < picture.size(); ++i) {
      PackLocal(picture[i], LocalRow(rows.data() + i * kLocalRowSize, kLocalRowSize));
    }
    Must(writer->Add(rows));
  }
  Must(writer->Seal());
  std::filesystem::rename(path.string() + ".new", path);
}

// Private memory of the process in bytes: not the pages of files, which the system takes back when it needs them.
double PrivateMemory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssAnon:")) return std::atof(line.c_str() + 8) * 1024;
  }
  return 0;
}

// Takes a file out of the system's memory.
void Forget(const std::filesystem::path& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  ::fdatasync(file.get());
  ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);
}

struct Shards {
  std::vector<std::filesystem::path> paths;
  std::shared_ptr<TokenCache> cache;
  std::vector<std::shared_ptr<const TokenIndex>> indexes;

  void Open(uint64_t cache_bytes) {
    indexes.clear();
    cache = std::make_shared<TokenCache>(cache_bytes);
    for (const std::filesystem::path& path : paths) indexes.push_back(Must(TokenIndex::Open(path, cache)));
  }
};

// The best picture of all shards.
size_t Ask(const Shards& shards, const std::vector<LocalFeature>& query, size_t shard_size, size_t threads,
           TokenStats& stats) {
  std::vector<std::vector<TokenHit>> hits(shards.indexes.size());
  std::vector<TokenStats> done(shards.indexes.size());
  const auto ask = [&](size_t i) {
    hits[i] = Must(SearchTokens(*shards.indexes[i], {.features = query, .k = 50}, done[i]));
  };
  if (threads == 1) {
    for (size_t i = 0; i < hits.size(); ++i) ask(i);
  } else {
    ParallelFor(hits.size(), threads, ask);
  }
  size_t best = 0;
  float score = -1;
  for (size_t i = 0; i < hits.size(); ++i) {
    stats.postings += done[i].postings;
    stats.pairs += done[i].pairs;
    if (hits[i].empty() || hits[i][0].score <= score) continue;
    score = hits[i][0].score;
    best = i * shard_size + hits[i][0].doc.value();
  }
  return best;
}

struct Times {
  std::vector<double> wall, cpu;  // ms
  bool right = true;
  TokenStats stats;
};

Times AskMany(const Shards& shards, const PictureMaker& maker, const Options& options, size_t count, size_t threads,
              Random& random) {
  Times times;
  std::vector<LocalFeature> picture;
  for (size_t i = 0; i < count; ++i) {
    const size_t wanted = random.Below(options.pictures);
    MakePicture(maker, options, wanted, picture);
    const auto query = maker.MakeQuery(random, picture, std::min(kKept, picture.size()), kQueryKeypoints);
    const double cpu = ThreadSeconds();
    const Stopwatch watch;
    times.right = Ask(shards, query, options.shard, threads, times.stats) == wanted && times.right;
    times.wall.push_back(watch.Milliseconds());
    times.cpu.push_back((ThreadSeconds() - cpu) * 1000);
  }
  return times;
}

int Main(int argc, char** argv) {
  const Options options = ParseOptions(argc, argv);
  BenchReport report("tokens");
  char line[256];
  const WordStatistics statistics = MeasureWords(200);
  const PictureMaker maker(statistics, options.words, kSeed);
  std::snprintf(line, sizeof(line),
                "%zu photographs, %zu keypoints: %.0f %% repeat a word of their picture, %.1f %% of random pairs of a "
                "word are within %u bits, which vary by %.1f",
                statistics.pictures, statistics.keypoints, 100 * statistics.repeats, 100 * statistics.near,
                statistics.near_bits, std::sqrt(statistics.bits_variance));
  BenchReport::Say(line);
  std::snprintf(line, sizeof(line), "%zu words; a keypoint of a query meets %.1f times the average list", options.words,
                maker.meeting() * static_cast<double>(options.words));
  BenchReport::Say(line);

  std::error_code error;
  std::filesystem::create_directories(options.folder, error);
  Shards shards;
  const size_t count = (options.pictures + options.shard - 1) / options.shard;
  size_t missing = 0;
  for (size_t i = 0; i < count; ++i) {
    shards.paths.push_back(options.folder /
                           ("tokens-" + std::to_string(options.words) + "-" + std::to_string(options.pictures) + "-" +
                            std::to_string(options.postings) + "-" + std::to_string(i)));
    missing += std::filesystem::exists(shards.paths.back()) ? 0 : 1;
  }
  const Stopwatch watch;
  ParallelFor(count, 2, [&](size_t i) {
    if (!std::filesystem::exists(shards.paths[i])) WriteShard(maker, options, i, shards.paths[i]);
  });
  if (missing > 0) {
    report.Add({.name = "made",
                .value = static_cast<double>(missing * options.shard * options.postings) / watch.Milliseconds() / 1000,
                .unit = "M postings/s, two threads, with making up the pictures"});
  }

  const uint64_t cache_bytes = uint64_t{options.cache_mb} << 20;
  for (const auto& path : shards.paths) Forget(path);
  const Stopwatch cold_open;
  shards.Open(cache_bytes);
  report.Add({.name = "open_from_disk",
              .value = cold_open.Milliseconds(),
              .unit = "ms",
              .better = BenchResult::Better::kLower});
  const Stopwatch open;
  shards.Open(cache_bytes);
  report.Add({.name = "open",
              .value = open.Milliseconds(),
              .unit = "ms",
              .bar = kOpenBar,
              .better = BenchResult::Better::kLower});
  double bytes = 0, postings = 0, resident = 0;
  for (const auto& index : shards.indexes) {
    bytes += static_cast<double>(index->file_bytes());
    postings += static_cast<double>(index->postings());
    resident += static_cast<double>(index->resident_bytes());
  }
  report.Add({.name = "bytes_a_posting",
              .value = bytes / postings,
              .unit = "bytes",
              .bar = kPostingBar,
              .better = BenchResult::Better::kLower});
  report.Add({.name = "tables",
              .value = resident / 1e6,
              .unit = "MB in memory beside the cache",
              .better = BenchResult::Better::kLower});

  const double before = PrivateMemory();
  Random random(kSeed ^ 1);
  const size_t disk = std::max<size_t>(5, options.queries / 20);
  for (const auto& path : shards.paths) Forget(path);
  const Times first = AskMany(shards, maker, options, disk, 1, random);
  report.Add({.name = "query_from_disk_p50",
              .value = Median(first.wall),
              .unit = "ms, files not in memory",
              .better = BenchResult::Better::kLower,
              .right = first.right});
  // Warm: the cache is full of what such queries ask, the rest of the files is in the system's memory.
  for (const auto& path : shards.paths) Must(Must(TokenIndex::Open(path, std::make_shared<TokenCache>(0)))->Verify());
  AskMany(shards, maker, options, options.queries / 2, 1, random);
  const TokenCache::Stats warm = shards.cache->stats();
  const Times times = AskMany(shards, maker, options, options.queries, 1, random);
  const TokenCache::Stats end = shards.cache->stats();
  report.Add({.name = "query_p50",
              .value = Median(times.wall),
              .unit = "ms, one thread",
              .bar = kP50Bar,
              .better = BenchResult::Better::kLower,
              .right = times.right});
  report.Add({.name = "query_p99",
              .value = Percentile(times.wall, 99),
              .unit = "ms, one thread",
              .bar = kP99Bar,
              .better = BenchResult::Better::kLower,
              .right = times.right});
  report.Add({.name = "query_cpu_p50",
              .value = Median(times.cpu),
              .unit = "ms of the processor",
              .better = BenchResult::Better::kLower});
  report.Add({.name = "query_cpu_p99",
              .value = Percentile(times.cpu, 99),
              .unit = "ms of the processor",
              .better = BenchResult::Better::kLower});
  const auto queries = static_cast<double>(options.queries);
  report.Add(
      {.name = "postings_a_query", .value = static_cast<double>(times.stats.postings) / queries / 1e6, .unit = "M"});
  report.Add({.name = "pairs_a_query", .value = static_cast<double>(times.stats.pairs) / queries, .unit = ""});
  report.Add({.name = "cache_hits",
              .value = static_cast<double>(end.hits - warm.hits) /
                       static_cast<double>(end.hits - warm.hits + end.misses - warm.misses),
              .unit = "of parts"});
  const Times two = AskMany(shards, maker, options, options.queries, 2, random);
  report.Add({.name = "query_two_threads_p50",
              .value = Median(two.wall),
              .unit = "ms",
              .better = BenchResult::Better::kLower,
              .right = two.right});
  report.Add({.name = "query_two_threads_p99",
              .value = Percentile(two.wall, 99),
              .unit = "ms",
              .better = BenchResult::Better::kLower,
              .right = two.right});
  report.Add({.name = "memory",
              .value = (PrivateMemory() - before) / static_cast<double>(cache_bytes),
              .unit = "of the cache's size, by which the process grew",
              .bar = 1.1,
              .better = BenchResult::Better::kLower});
  shards.indexes.clear();
  if (!options.keep) {
    for (const auto& path : shards.paths) std::filesystem::remove(path, error);
    std::filesystem::remove(options.folder, error);
  }
  return report.Finish();
}

}  // namespace
}  // namespace likeness

int main(int argc, char** argv) { return likeness::Main(argc, argv); }
