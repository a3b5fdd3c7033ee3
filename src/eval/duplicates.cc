#include "eval/duplicates.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>
#include <utility>

#include "base/bytes.h"
#include "base/file.h"
#include "base/thread_pool.h"
#include "eval/duplicate_pictures.h"
#include "eval/duplicate_scenes.h"
#include "image/decode.h"
#include "product/duplicate_json.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSets[3] = {"ccp", "clothing", "products"};
// Two files show one scene when their pixels do not differ but for their encoding. Ties of one shape, or one model in
// two shirts, are beyond these.
constexpr float kSceneCorrelation = 0.999f, kSceneAgreeing = 0.995f, kSceneDetail = 0.98f, kSceneToned = 0.995f;
constexpr size_t kSceneBlocks = 6;

std::vector<size_t> Drawn(size_t count, size_t of, Random& random) {
  std::vector<size_t> all(of);
  std::iota(all.begin(), all.end(), 0);
  for (size_t i = 0; i < std::min(count, of); ++i) std::swap(all[i], all[i + random.Below(of - i)]);
  all.resize(std::min(count, of));
  return all;
}

// Which files are searched: the originals of the queries first.
struct Choice {
  std::vector<DuplicatePictures::File> files;
  size_t originals = 0;
};

absl::StatusOr<Choice> Choose(const DuplicateEvalOptions& options, Random& random) {
  Choice choice;
  const fs::path folders[3] = {options.data / "ccp" / "photos", options.data / "clothing",
                               options.data / "products" / "images"};
  std::vector<DuplicatePictures::File> originals, others;
  for (size_t set = 0; set < 3; ++set) {
    LIKENESS_ASSIGN_OR_RETURN(const std::vector<fs::path> files, PictureFiles(folders[set]));
    std::vector<bool> taken(files.size(), false);
    if (set < 2) {
      for (const size_t i : Drawn((options.queries + 1 - set) / 2, files.size(), random)) {
        originals.push_back({files[i], std::string(kSets[set])});
        taken[i] = true;
      }
    }
    for (size_t i = 0; i < files.size(); ++i) {
      if (!taken[i]) others.push_back({files[i], std::string(kSets[set])});
    }
  }
  if (originals.size() < options.queries || others.size() < options.distractors) {
    return absl::InvalidArgumentError("the folder has too few pictures for so many queries and distractors");
  }
  choice.originals = originals.size();
  choice.files = std::move(originals);
  for (const size_t i : Drawn(options.distractors, others.size(), random)) choice.files.push_back(others[i]);
  return choice;
}

struct Task {
  size_t document = 0;
  Alteration kind = Alteration::kCrop80;
  uint64_t seed = 0;
};

// What a query answered.
struct Answered {
  Task task;
  std::vector<DuplicateMatch> matches;
  double ms = 0;
  std::optional<DuplicateTrace> missed;  // where the original was lost
};

class Evaluation {
 public:
  Evaluation(const DuplicateEvalOptions& options, const DuplicateProgress& progress)
      : options_(options), progress_(progress) {}

  absl::StatusOr<DuplicateReport> Run() {
    LIKENESS_ASSIGN_OR_RETURN(vocabulary_, Vocabulary::Open(options_.vocabulary));
    LIKENESS_ASSIGN_OR_RETURN(known_, ReadScenes(options_.scenes));
    for (const std::string& name : options_.rows) {
      if (!std::ranges::any_of(AlterationRows(), [&](const AlterationRow& row) { return row.name == name; })) {
        return absl::InvalidArgumentError("there is no row " + name);
      }
    }
    Random random(options_.seed);
    LIKENESS_ASSIGN_OR_RETURN(const Choice choice, Choose(options_, random));
    LIKENESS_ASSIGN_OR_RETURN(
        pictures_, DuplicatePictures::Load(choice.files, vocabulary_, options_.cache, options_.threads,
                                           [&](size_t done, size_t total) { Show("features", done, total); }));
    LIKENESS_ASSIGN_OR_RETURN(finder_, DuplicateFinder::Make(*pictures_));
    report_.seed = options_.seed;
    report_.pictures = pictures_->pictures().size();
    report_.distractors = report_.pictures - std::min(report_.pictures, choice.originals);
    report_.unreadable = pictures_->unreadable();
    report_.repeated = pictures_->repeated();

    std::map<std::string, size_t> places;
    for (size_t i = 0; i < pictures_->pictures().size(); ++i) places[pictures_->pictures()[i].path.string()] = i;
    std::vector<Task> tasks, product_tasks;
    for (const AlterationRow& row : AlterationRows()) {
      for (size_t i = 0; i < choice.originals; ++i) {
        const auto place = places.find(choice.files[i].path.string());
        const uint64_t seed = random();
        if (place != places.end() && Wanted(row)) tasks.push_back({place->second, row.kind, seed});
      }
    }
    std::vector<size_t> products;
    for (size_t i = 0; i < pictures_->pictures().size(); ++i) {
      if (pictures_->pictures()[i].set == kSets[2]) products.push_back(i);
    }
    for (const size_t i : Drawn(options_.products, products.size(), random)) {
      product_tasks.push_back({products[i], AlterationRows()[random.Below(kAlterations)].kind, random()});
    }
    CountRows(Ask("altered copies", tasks));
    CountProducts(Ask("like products", product_tasks));
    if (!options_.dump.empty()) LIKENESS_RETURN_IF_ERROR(WriteFileAtomic(options_.dump, AsBytes(dump_)));
    for (const auto& [pair, scene] : scenes_) {
      if (scene) report_.same_scenes.push_back(*scene);
    }
    return std::move(report_);
  }

 private:
  void Show(std::string_view stage, size_t done, size_t total) const {
    if (progress_) progress_(stage, done, total);
  }

  bool Wanted(const AlterationRow& row) const {
    return options_.rows.empty() || std::ranges::find(options_.rows, row.name) != options_.rows.end();
  }

  std::vector<Answered> Ask(std::string_view stage, const std::vector<Task>& tasks) {
    std::vector<Answered> answers(tasks.size());
    std::mutex mutex;
    size_t done = 0;
    ParallelFor(tasks.size(), options_.threads, [&](size_t i) {
      answers[i] = AskOne(tasks[i]);
      const std::lock_guard lock(mutex);
      Show(stage, ++done, tasks.size());
    });
    for (Answered& answer : answers) {
      if (answer.missed) {
        const std::string_view name = AlterationRows()[static_cast<size_t>(answer.task.kind)].name;
        report_.misses.push_back({NameOf(answer.task.document), std::string(name), *std::move(answer.missed)});
      }
      milliseconds_ += answer.ms;
      report_.query_ms = milliseconds_ / static_cast<double>(++asked_);
    }
    return answers;
  }

  // A picture that cannot be read or altered has no answer, and counts as not found.
  Answered AskOne(const Task& task) const {
    Answered answer;
    answer.task = task;
    const ImageLimits limits;
    const absl::StatusOr<std::string> bytes = ReadFile(pictures_->pictures()[task.document].path, limits.max_bytes);
    if (!bytes.ok()) return answer;
    const absl::StatusOr<Pixels> original = DecodeImage(AsBytes(*bytes), limits);
    if (!original.ok()) return answer;
    Random random(task.seed);
    const absl::StatusOr<std::string> altered = MakeAltered(*original, task.kind, random);
    if (!altered.ok()) return answer;

    const auto start = std::chrono::steady_clock::now();
    const absl::StatusOr<Pixels> pixels = DecodeImage(AsBytes(*altered), limits, kStandardSize);
    if (!pixels.ok()) return answer;
    const absl::StatusOr<DuplicateQuery> query = DuplicateQuery::Of(*pixels, *vocabulary_);
    if (!query.ok()) return answer;
    DuplicateFindOptions find;
    find.keep_different = true;
    answer.matches = finder_->Find(*query, find).matches;
    answer.ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    if (std::ranges::any_of(answer.matches, [&](const DuplicateMatch& match) {
          return match.document == task.document && match.verdict == DuplicateVerdict::kSame;
        })) {
      return answer;
    }
    absl::StatusOr<DuplicateTrace> trace = finder_->Trace(*query, task.document, find);
    if (trace.ok()) answer.missed = *std::move(trace);
    if (!options_.misses.empty()) {
      const std::string name = std::string(AlterationRows()[static_cast<size_t>(task.kind)].name) + "-" +
                               pictures_->pictures()[task.document].path.stem().string() + ".jpg";
      (void)WriteFileAtomic(options_.misses / name, AsBytes(*altered));  // for eyes alone
    }
    return answer;
  }

  // Whether the two files, as they are, show one scene.
  bool OneScene(size_t a, size_t b) {
    const std::pair key(std::min(a, b), std::max(a, b));
    if (const auto known = scenes_.find(key); known != scenes_.end()) return known->second.has_value();
    std::optional<SameScene>& scene = scenes_[key];
    const std::string name_a = NameOf(key.first), name_b = NameOf(key.second);
    if (known_.contains({std::min(name_a, name_b), std::max(name_a, name_b)})) {
      scene = SameScene{name_a, name_b, /*known=*/true};
      return true;
    }
    const auto pixels = pictures_->ReadPixels(key.first);
    if (!pixels.ok()) return false;
    const auto query = DuplicateQuery::Of(*pixels, *vocabulary_);
    if (!query.ok()) return false;
    const auto judged = finder_->Judge(*query, key.second);
    if (!judged.ok()) return false;
    const PixelAgreement& pixel = judged->evidence.pixels;
    if (pixel.correlation < kSceneCorrelation || pixel.agreeing < kSceneAgreeing || pixel.detail < kSceneDetail ||
        pixel.toned < kSceneToned || pixel.blocks < kSceneBlocks) {
      return false;
    }
    scene = SameScene{name_a, name_b, /*known=*/false, pixel.correlation, pixel.agreeing};
    return true;
  }

  std::string NameOf(size_t document) const {
    return fs::relative(pictures_->pictures()[document].path, options_.data).string();
  }

  void Dump(const Answered& answer, const DuplicateMatch& match, std::string_view kind) {
    if (options_.dump.empty()) return;
    const DuplicateEvidence& e = match.evidence;
    char line[400];
    std::snprintf(line, sizeof(line),
                  "%d\t%d\t%.4f\t%zu\t%zu\t%.3f\t%.3f\t%d\t%.4f\t%.4f\t%.4f\t%zu\t%.2f\t%.2f\t%.3f\t%.3f\t%.4f\t%.4f\t%"
                  "d\t%.4f\t%.4f\t%.4f\t%.4f",
                  match.document == answer.task.document ? 1 : 0, static_cast<int>(match.verdict), match.score, e.pairs,
                  e.inliers, e.spread, e.matched, e.hash_distance ? static_cast<int>(*e.hash_distance) : -1,
                  e.pixels.correlation, e.pixels.agreeing, e.pixels.block_correlation, e.pixels.blocks,
                  e.pixels.color_difference, e.pixels.contrast, e.query_coverage, e.document_coverage, e.pixels.detail,
                  e.pixels.toned, static_cast<int>(answer.task.kind), e.pixels.shown, e.pixels.lost, e.pixels.recolored,
                  e.pixels.displaced);
    dump_ += std::string(kind) + "\t" + pictures_->pictures()[answer.task.document].set + "\t" +
             NameOf(answer.task.document) + "\t" + NameOf(match.document) + "\t" + line + "\n";
  }

  void CountRows(const std::vector<Answered>& answers) {
    for (const AlterationRow& kind : AlterationRows()) {
      if (!Wanted(kind)) continue;
      DuplicateRow row;
      row.name = kind.name;
      row.recall_bar = kind.recall_bar;
      for (const Answered& answer : answers) {
        if (answer.task.kind != kind.kind) continue;
        const size_t set = pictures_->pictures()[answer.task.document].set == kSets[0] ? 0 : 1;
        ++row.queries;
        ++row.set_queries[set];
        for (const DuplicateMatch& match : answer.matches) {
          Dump(answer, match, kind.name);
          const bool same = match.verdict == DuplicateVerdict::kSame;
          if (match.document == answer.task.document) {
            ++row.proposed;
            if (!same) continue;
            ++row.found;
            ++row.set_found[set];
            ++report_.right;
            if (match.evidence.inliers == 0) ++row.hash_alone;
          } else if (same && !OneScene(answer.task.document, match.document)) {
            ++row.wrong;
            ++report_.wrong;
            AddWrong(answer, match, kind.name);
          }
        }
      }
      report_.rows.push_back(std::move(row));
    }
  }

  void CountProducts(const std::vector<Answered>& answers) {
    report_.product_queries = answers.size();
    for (const Answered& answer : answers) {
      const std::string_view name = AlterationRows()[static_cast<size_t>(answer.task.kind)].name;
      for (const DuplicateMatch& match : answer.matches) {
        Dump(answer, match, "products");
        const bool same = match.verdict == DuplicateVerdict::kSame;
        if (match.document == answer.task.document) {
          report_.product_right += same ? 1 : 0;
          continue;
        }
        if (pictures_->pictures()[match.document].set != kSets[2] && !same) continue;
        ++report_.product_pairs;
        report_.product_similar += match.verdict == DuplicateVerdict::kSimilar ? 1 : 0;
        if (same && !OneScene(answer.task.document, match.document)) {
          ++report_.product_wrong;
          AddWrong(answer, match, name);
        }
      }
    }
  }

  void AddWrong(const Answered& answer, const DuplicateMatch& match, std::string_view alteration) {
    report_.wrongs.push_back({NameOf(answer.task.document), std::string(alteration), NameOf(match.document),
                              match.score, match.evidence.inliers});
  }

  const DuplicateEvalOptions& options_;
  const DuplicateProgress& progress_;
  std::shared_ptr<const Vocabulary> vocabulary_;
  std::unique_ptr<DuplicatePictures> pictures_;
  std::unique_ptr<DuplicateFinder> finder_;
  DuplicateReport report_;
  ScenePairs known_;
  std::map<std::pair<size_t, size_t>, std::optional<SameScene>> scenes_;
  std::string dump_;
  double milliseconds_ = 0;
  size_t asked_ = 0;
};

nlohmann::ordered_json MissJson(const DuplicateMiss& miss) {
  using Json = nlohmann::ordered_json;
  const auto place = [](const std::optional<size_t>& at) { return at ? Json(*at) : Json(nullptr); };
  const DuplicateTrace& trace = miss.trace;
  return {{"query", miss.query},
          {"alteration", miss.alteration},
          {"lost_by", DuplicateStageName(trace.stage)},
          {"place_by_words", place(trace.by_words)},
          {"place_by_mirrored_words", place(trace.by_mirrored_words)},
          {"place_by_hash", place(trace.by_hash)},
          {"alignments", trace.alignments.size()},
          {"place_of_promise", place(trace.place)},
          {"verdict", DuplicateVerdictName(trace.judgement.verdict)},
          {"score", trace.judgement.score},
          {"evidence", Json::parse(DuplicateEvidenceJson(trace.judgement.evidence), nullptr, false)}};
}

double Share(size_t right, size_t wrong) {
  return right + wrong == 0 ? 0 : static_cast<double>(right) / static_cast<double>(right + wrong);
}

}  // namespace

double DuplicateReport::precision() const { return Share(right, wrong); }
double DuplicateReport::product_precision() const { return Share(product_right, product_wrong); }

bool DuplicateReport::ok() const {
  return std::ranges::all_of(rows, [](const DuplicateRow& row) { return row.recall() >= row.recall_bar; }) &&
         precision() >= kDuplicatePrecisionBar &&
         (product_queries == 0 || product_precision() >= kDuplicatePrecisionBar);
}

absl::StatusOr<DuplicateReport> EvaluateDuplicates(const DuplicateEvalOptions& options,
                                                   const DuplicateProgress& progress) {
  return Evaluation(options, progress).Run();
}

std::string DuplicateReportToJson(const DuplicateReport& report) {
  using Json = nlohmann::ordered_json;
  Json results = Json::array();
  const auto add = [&](const std::string& name, double value, double bar) {
    results.push_back({{"name", name}, {"value", value}, {"bar", bar}, {"better", "higher"}, {"ok", value >= bar}});
  };
  Json rows = Json::array();
  for (const DuplicateRow& row : report.rows) {
    add("recall_" + row.name, row.recall(), row.recall_bar);
    Json json = {{"name", row.name},       {"recall", row.recall()},      {"bar", row.recall_bar},
                 {"queries", row.queries}, {"found", row.found},          {"compared", row.proposed},
                 {"wrong", row.wrong},     {"hash_alone", row.hash_alone}};
    for (size_t set = 0; set < 2; ++set) {
      json[std::string(kSets[set])] = {{"queries", row.set_queries[set]}, {"found", row.set_found[set]}};
    }
    rows.push_back(std::move(json));
  }
  add("precision", report.precision(), kDuplicatePrecisionBar);
  if (report.product_queries > 0) add("precision_like_products", report.product_precision(), kDuplicatePrecisionBar);
  Json scenes = Json::array(), wrongs = Json::array();
  for (const SameScene& scene : report.same_scenes) {
    scenes.push_back({{"a", scene.a},
                      {"b", scene.b},
                      {"known", scene.known},
                      {"correlation", scene.correlation},
                      {"agreeing", scene.agreeing}});
  }
  for (const WrongSame& wrong : report.wrongs) {
    wrongs.push_back({{"query", wrong.query},
                      {"alteration", wrong.alteration},
                      {"found", wrong.found},
                      {"score", wrong.score},
                      {"inliers", wrong.inliers}});
  }
  Json misses = Json::array();
  for (const DuplicateMiss& miss : report.misses) misses.push_back(MissJson(miss));
  const Json json = {{"evaluation", "duplicates"},
                     {"kind", "Copydays-style, generated"},
                     {"seed", report.seed},
                     {"pictures", report.pictures},
                     {"distractors", report.distractors},
                     {"unreadable", report.unreadable},
                     {"repeated_files", report.repeated},
                     {"rows", std::move(rows)},
                     {"same_right", report.right},
                     {"same_wrong", report.wrong},
                     {"products",
                      {{"queries", report.product_queries},
                       {"pairs_judged", report.product_pairs},
                       {"same_right", report.product_right},
                       {"same_wrong", report.product_wrong},
                       {"similar", report.product_similar}}},
                     {"same_scenes", std::move(scenes)},
                     {"wrong", std::move(wrongs)},
                     {"missed", std::move(misses)},
                     {"query_ms", report.query_ms},
                     {"results", std::move(results)},
                     {"ok", report.ok()}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string DuplicateReportToText(const DuplicateReport& report) {
  char line[240];
  std::string text = "Copydays-style, generated; seed " + std::to_string(report.seed) + "; " +
                     std::to_string(report.pictures) + " pictures searched\n";
  std::snprintf(line, sizeof(line), "%-12s %8s %7s %7s %8s %8s %6s\n", "", "queries", "recall", "bar", "ccp",
                "clothing", "wrong");
  text += line;
  for (const DuplicateRow& row : report.rows) {
    std::snprintf(line, sizeof(line), "%-12s %8zu %7.4f %7.2f %8.4f %8.4f %6zu  %s\n", row.name.c_str(), row.queries,
                  row.recall(), row.recall_bar,
                  static_cast<double>(row.set_found[0]) / static_cast<double>(std::max<size_t>(1, row.set_queries[0])),
                  static_cast<double>(row.set_found[1]) / static_cast<double>(std::max<size_t>(1, row.set_queries[1])),
                  row.wrong, row.recall() >= row.recall_bar ? "ok" : "MISSED");
    text += line;
  }
  std::snprintf(line, sizeof(line), "precision %.5f (%zu right, %zu wrong), bar %.3f: %s\n", report.precision(),
                report.right, report.wrong, kDuplicatePrecisionBar,
                report.precision() >= kDuplicatePrecisionBar ? "ok" : "MISSED");
  text += line;
  std::snprintf(
      line, sizeof(line),
      "like products: %zu queries, %zu pairs judged, precision %.5f (%zu right, %zu wrong), %zu SIMILAR: %s\n",
      report.product_queries, report.product_pairs, report.product_precision(), report.product_right,
      report.product_wrong, report.product_similar,
      report.product_precision() >= kDuplicatePrecisionBar ? "ok" : "MISSED");
  text += line;
  for (const SameScene& scene : report.same_scenes) {
    text += "one photograph, left out: " + scene.a + " " + scene.b + (scene.known ? " (known)\n" : "\n");
  }
  for (const WrongSame& wrong : report.wrongs) {
    text += "wrong: " + wrong.query + " (" + wrong.alteration + ") " + wrong.found + "\n";
  }
  for (const DuplicateMiss& miss : report.misses) {
    text += "missed: " + miss.query + " (" + miss.alteration + "), lost by " +
            std::string(DuplicateStageName(miss.trace.stage)) + "\n";
  }
  std::snprintf(line, sizeof(line), "%.1f ms a query from JPEG bytes\n", report.query_ms);
  return text + line;
}

}  // namespace likeness
