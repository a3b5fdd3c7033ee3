// The duplicate verdict of one new picture against a million: from its JPEG bytes to SAME, with all that lies between.
//
//   bench_duplicates [--pictures N] [--postings N] [--queries N] [--threads N] [--folder FOLDER] [--keep]
//
// The collection is made: each picture has 300 keypoints of photographs of the evaluation data, drawn at random, their
// signatures changed as those of other things of a word are, and a random hash. As a collection of a million has a
// vocabulary of 100,000 words (docs/features/local.md), each word of the default one stands for ten. Among the made
// pictures lie real ones; each query is one of them cropped, turned, mirrored, recompressed, brightened and so on, and
// must be called SAME with it, and with nothing else. With --keep the token files stay for another run.
#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/random.h"
#include "bench/files.h"
#include "bench/flags.h"
#include "bench/pictures.h"
#include "bench/report.h"
#include "eval/duplicate_variants.h"
#include "feature/local.h"
#include "image/decode.h"
#include "index/token_writer.h"
#include "product/duplicate_finder.h"
#include "product/token_words.h"

namespace likeness {
namespace {

constexpr uint64_t kSeed = 20260722;
constexpr double kBar = 60;  // ms
constexpr uint32_t kSpread = 10;
constexpr size_t kShard = 200'000;
constexpr uint64_t kCache = uint64_t{512} << 20;

struct Options {
  size_t pictures = 1'000'000;
  size_t postings = 300;
  size_t queries = 100;
  size_t threads = 2;
  std::filesystem::path folder = "build/bench-duplicates";
  bool keep = false;
};

Options ParseOptions(int argc, char** argv) {
  Options options;
  ReadBenchFlags(argc, argv,
                 {{"--pictures", &options.pictures},
                  {"--postings", &options.postings},
                  {"--queries", &options.queries},
                  {"--threads", &options.threads},
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

// A real photograph among the made ones.
struct Planted {
  std::string jpeg;
  DuplicateRecord record;
};

// The collection: every picture is made from its number alone.
class Made final : public DuplicateSource {
 public:
  Made(const Options& options, const Vocabulary& vocabulary) : options_(options) {
    const auto local = MakeLocalExtractor(std::shared_ptr<const Vocabulary>(&vocabulary, [](const Vocabulary*) {}));
    const auto hash = MakeHashExtractor();
    for (std::string& jpeg : ReadBenchFiles("ccp/photos", 96)) {
      const Pixels pixels = Must(DecodeImage(AsBytes(jpeg), {}, kStandardSize));
      Planted planted{std::move(jpeg), {pixels.full_width, pixels.full_height, std::nullopt, {}}};
      planted.record.local = Must(UnpackLocals(*Must(local->Extract({&pixels, 1})).front()));
      const auto hashes = Must(hash->Extract({&pixels, 1}));
      if (hashes.front().ok()) planted.record.hash = ParsePdqValue(*hashes.front());
      pool_.insert(pool_.end(), planted.record.local.begin(), planted.record.local.end());
      // A word of its own kind: what a query of this picture asks for, too.
      for (LocalFeature& feature : planted.record.local) feature.word = Spread(feature.word);
      planted_.push_back(std::move(planted));
    }
    if (planted_.empty() || options.pictures < planted_.size()) BenchFail("there are too few pictures");
  }

  static uint32_t Spread(uint32_t word) { return word * kSpread + word % kSpread; }

  size_t planted() const { return planted_.size(); }
  const std::string& jpeg(size_t i) const { return planted_[i].jpeg; }
  uint64_t place(size_t i) const { return i * (options_.pictures / planted_.size()); }

  uint64_t doc_count() const override { return options_.pictures; }

  std::optional<PdqValue> Hash(uint64_t document) const override {
    if (const Planted* planted = Find(document)) return planted->record.hash;
    Random random(kSeed ^ (document * 2 + 1));
    PdqValue value{{}, 100};
    for (uint64_t& word : value.hash.words) word = random();
    return value;
  }

  absl::StatusOr<DuplicateRecord> Read(uint64_t document) const override {
    if (const Planted* planted = Find(document)) return planted->record;
    return DuplicateRecord{512, 384, Hash(document), Rows(document)};
  }

  absl::StatusOr<Pixels> ReadPixels(uint64_t document) const override {
    const Planted* planted = Find(document);
    return DecodeImage(AsBytes((planted != nullptr ? *planted : planted_[document % planted_.size()]).jpeg), {},
                       kStandardSize);
  }

  std::vector<LocalFeature> Rows(uint64_t document) const {
    if (const Planted* planted = Find(document)) return planted->record.local;
    Random random(kSeed ^ (document * 2));
    std::vector<LocalFeature> rows(options_.postings);
    for (LocalFeature& row : rows) {
      row = pool_[random.Below(pool_.size())];
      row.word = row.word * kSpread + static_cast<uint32_t>(random.Below(kSpread));
      // Another thing of the same word: seven in sixteen of its bits differ.
      row.signature ^= random() & (random() | random() | random());
      row.x = static_cast<float>(random.Unit() * 511);
      row.y = static_cast<float>(random.Unit() * 383);
    }
    std::ranges::sort(rows, {}, &LocalFeature::word);
    return rows;
  }

 private:
  const Planted* Find(uint64_t document) const {
    const uint64_t step = options_.pictures / planted_.size();
    return document % step == 0 && document / step < planted_.size() ? &planted_[document / step] : nullptr;
  }

  const Options& options_;
  std::vector<Planted> planted_;
  std::vector<LocalFeature> pool_;
};

// A query's words as the made collection has them.
VerifyQuery SpreadWords(const VerifyQuery& query) {
  std::vector<LocalFeature> features;
  for (const VerifyQuery::Row& row : query.rows()) {
    const VerifyQuery::Keypoint& keypoint = query.keypoints()[row.keypoint];
    features.push_back({Made::Spread(row.word), row.signature, keypoint.x, keypoint.y, keypoint.sigma, keypoint.angle});
  }
  return VerifyQuery(features, query.frame());
}

class SpreadSource final : public WordSource {
 public:
  explicit SpreadSource(const WordSource& words) : words_(words) {}
  std::vector<WordCandidate> Find(const VerifyQuery& query, size_t most) const override {
    return words_.Find(SpreadWords(query), most);
  }

 private:
  const WordSource& words_;
};

// What a document's rows are to verification: words as the query has them.
class PlainWords final : public DuplicateSource {
 public:
  explicit PlainWords(const Made& made) : made_(made) {}
  uint64_t doc_count() const override { return made_.doc_count(); }
  std::optional<PdqValue> Hash(uint64_t document) const override { return made_.Hash(document); }
  absl::StatusOr<Pixels> ReadPixels(uint64_t document) const override { return made_.ReadPixels(document); }
  absl::StatusOr<DuplicateRecord> Read(uint64_t document) const override {
    LIKENESS_ASSIGN_OR_RETURN(DuplicateRecord record, made_.Read(document));
    for (LocalFeature& row : record.local) row.word /= kSpread;
    return record;
  }

 private:
  const Made& made_;
};

struct Tokens {
  std::vector<std::shared_ptr<const TokenIndex>> indexes;
  std::vector<TokenWords::Shard> shards;
};

Tokens OpenTokens(const Options& options, const Made& made) {
  std::filesystem::create_directories(options.folder);
  const auto cache = std::make_shared<TokenCache>(kCache);
  Tokens tokens;
  for (size_t first = 0; first < options.pictures; first += kShard) {
    const std::filesystem::path path =
        options.folder / (std::to_string(options.pictures) + "-" + std::to_string(options.postings) + "-" +
                          std::to_string(first) + ".tokens");
    if (!std::filesystem::exists(path)) {
      BenchReport::Say("making " + path.string());
      const auto writer = Must(TokenWriter::Create(path.string() + ".new", {"local", "0123456789ab"}));
      for (size_t document = first; document < std::min(options.pictures, first + kShard); ++document) {
        Must(writer->Add(PackLocals(made.Rows(document))));
      }
      Must(writer->Seal());
      std::filesystem::rename(path.string() + ".new", path);
    }
    tokens.indexes.push_back(Must(TokenIndex::Open(path, cache)));
    tokens.shards.push_back({tokens.indexes.back().get(), first});
  }
  return tokens;
}

int Main(int argc, char** argv) {
  const Options options = ParseOptions(argc, argv);
  BenchReport report("duplicates");
  const auto vocabulary = Must(Vocabulary::Open(Must(FindVocabulary("."))));
  const Made made(options, *vocabulary);
  const PlainWords source(made);
  const Tokens tokens = OpenTokens(options, made);
  IntoPageCache(options.folder);
  const TokenWords words(tokens.shards);
  const SpreadSource spread(words);
  const auto finder = Must(DuplicateFinder::Make(source, &spread));

  DuplicateFindOptions find;
  find.threads = options.threads;
  DuplicateQueryOptions looking;
  looking.threads = options.threads;
  std::vector<double> total, feature, answer, cpu, verified;
  size_t right = 0, wrong = 0;
  Random random(kSeed);
  for (size_t i = 0; i < options.queries; ++i) {
    const size_t of = i % made.planted();
    const Alteration kind = AlterationRows()[i % kAlterations].kind;
    const Pixels original = Must(DecodeImage(AsBytes(made.jpeg(of))));
    const std::string jpeg = Must(MakeAltered(original, kind, random));
    const double cpu_start = ProcessSeconds();
    const Stopwatch watch;
    const Pixels pixels = Must(DecodeImage(AsBytes(jpeg), {}, kStandardSize));
    const DuplicateQuery query = Must(DuplicateQuery::Of(pixels, *vocabulary, looking));
    const double featured = watch.Milliseconds();
    const DuplicateAnswer found = finder->Find(query, find);
    const double all = watch.Milliseconds();
    if (i < 5) continue;  // the first ones warm the caches
    total.push_back(all);
    feature.push_back(featured);
    answer.push_back(all - featured);
    cpu.push_back((ProcessSeconds() - cpu_start) * 1000);
    verified.push_back(static_cast<double>(found.verified));
    for (const DuplicateMatch& match : found.matches) {
      if (match.verdict != DuplicateVerdict::kSame) continue;
      ++(match.document == made.place(of) ? right : wrong);
    }
  }
  if (!options.keep) std::filesystem::remove_all(options.folder);
  if (total.empty()) BenchFail("ask for more than five queries");
  const double share = static_cast<double>(right) / static_cast<double>(total.size());
  const auto lower = BenchResult::Better::kLower;
  report.Add({.name = "verdict_p50",
              .value = Median(total),
              .unit = "ms",
              .bar = kBar,
              .better = lower,
              .right = share >= 0.9 && wrong == 0});
  report.Add({.name = "verdict_p99", .value = Percentile(total, 99), .unit = "ms", .better = lower});
  report.Add({.name = "features_p50", .value = Median(feature), .unit = "ms", .better = lower});
  report.Add({.name = "answer_p50", .value = Median(answer), .unit = "ms", .better = lower});
  report.Add({.name = "processor_time_p50", .value = Median(cpu), .unit = "ms", .better = lower});
  report.Add({.name = "verified_p50", .value = Median(verified), .unit = "pictures", .better = lower});
  report.Add({.name = "found_same", .value = share, .unit = "of queries"});
  report.Add({.name = "wrongly_same", .value = static_cast<double>(wrong), .unit = "pairs", .better = lower});
  report.Add({.name = "pictures", .value = static_cast<double>(options.pictures), .unit = "pictures"});
  return report.Finish();
}

}  // namespace
}  // namespace likeness

int main(int argc, char** argv) { return likeness::Main(argc, argv); }
