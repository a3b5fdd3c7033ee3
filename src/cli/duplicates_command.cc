// likeness duplicates: the duplicates of a picture, or all that the collection has.
#include <cstdio>

#include "base/file.h"
#include "base/log.h"
#include "base/thread_pool.h"
#include "catalog/catalog.h"
#include "cli/command.h"
#include "cli/progress_bar.h"
#include "product/collection_duplicates.h"
#include "product/duplicate_json.h"

namespace likeness {
namespace {

struct Flags {
  std::string picture;
  size_t limit = 100;
  size_t threads = 0;
  bool similar = false, again = false;
};

// What is told of a document: its signature, size and place.
class Names {
 public:
  Names(Home& home, const CollectionDuplicates& duplicates) : home_(home), duplicates_(duplicates) {}

  std::string Place(uint64_t document) const {
    const auto image = home_.catalog().Image(duplicates_.signature(document));
    return image.ok() && *image ? (*image)->location : "";
  }

  std::string Json(uint64_t document) const {
    const Snapshot& snapshot = duplicates_.snapshot();
    const Snapshot::Place place = snapshot.At(document);
    const Segment::Size size = snapshot.segments()[place.segment]->size(place.doc);
    const nlohmann::ordered_json json = {{"signature", duplicates_.signature(document).Hex()},
                                         {"width", size.width},
                                         {"height", size.height},
                                         {"source", Place(document)}};
    const std::string text = json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
    return text.substr(1, text.size() - 2);
  }

  std::string Line(uint64_t document) const { return duplicates_.signature(document).Hex() + "  " + Place(document); }

 private:
  Home& home_;
  const CollectionDuplicates& duplicates_;
};

nlohmann::ordered_json Parsed(const std::string& text) {
  return nlohmann::ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
}

// How one picture became the other, in words: "mirrored, turned 90, 46 % of it".
std::string How(const DuplicateEvidence& evidence) {
  char part[64];
  std::string text = evidence.mirrored ? "mirrored, " : "";
  if (std::abs(evidence.turned) >= 2) {
    std::snprintf(part, sizeof(part), "turned %.0f, ", static_cast<double>(evidence.turned));
    text += part;
  }
  std::snprintf(part, sizeof(part), "%.0f %% of the query, %.0f %% of the image, %zu keypoints",
                100.0 * static_cast<double>(evidence.query_coverage),
                100.0 * static_cast<double>(evidence.document_coverage), evidence.inliers);
  return text + part;
}

absl::StatusOr<CommandOutput> OfPicture(Home& home, const CollectionDuplicates& duplicates, const Flags& flags) {
  std::error_code error;
  std::optional<Signature> known = Signature::Parse(flags.picture);
  absl::StatusOr<DuplicateQuery> query = absl::InternalError("");
  if (known && !std::filesystem::exists(flags.picture, error)) {
    query = duplicates.QueryOf(*known);
  } else {
    LIKENESS_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(flags.picture, home.config().image.max_bytes));
    known = Signature::Of(AsBytes(bytes));
    query = duplicates.QueryOf(AsBytes(bytes));
    if (!query.ok() && BlameOf(query.status()) == Blame::kData) {
      return Annotate(query.status(), flags.picture + " cannot be read");
    }
  }
  LIKENESS_RETURN_IF_ERROR(query.status());
  const DuplicateAnswer answer = duplicates.Find(*query, {}, known);
  const Names names(home, duplicates);
  CommandOutput output;
  output.json = {{"release", duplicates.snapshot().name()}, {"duplicates", nlohmann::ordered_json::array()}};
  size_t told = 0;
  for (const DuplicateMatch& match : answer.matches) {
    if (match.verdict != DuplicateVerdict::kSame && !flags.similar) continue;
    if (flags.limit != 0 && told++ == flags.limit) break;
    output.json["duplicates"].push_back(
        Parsed(DuplicateMatchJson(match, [&](uint64_t document) { return names.Json(document); })));
    char line[32];
    std::snprintf(line, sizeof(line), "%-8s %5.3f  ", std::string(DuplicateVerdictName(match.verdict)).c_str(),
                  static_cast<double>(match.score));
    output.text += line + names.Line(match.document) + "  (" + How(match.evidence) + ")\n";
  }
  if (output.text.empty()) output.text = "no duplicates\n";
  output.json["verified"] = answer.verified;
  output.json["compared"] = answer.compared;
  output.json["unreadable"] = answer.unreadable;
  return output;
}

CommandOutput OfCollection(Home& home, const CollectionDuplicates& duplicates, const Flags& flags) {
  CollectionDuplicates::Clusters found;
  {
    ProgressBar bar;
    FindPairsOptions options;
    options.threads = flags.threads == 0 ? AvailableThreads() : flags.threads;
    options.stop = &StopFlag();
    options.progress = [&bar](uint64_t done, uint64_t total) { bar.Show("duplicates", done, total); };
    const absl::StatusOr<std::unique_ptr<DuplicateLog>> log = duplicates.OpenLog(flags.again);
    if (!log.ok()) Log(LogLevel::kWarning, "duplicates_not_kept", {{"reason", MessageOf(log.status())}});
    found = duplicates.FindClusters(options, log.ok() ? log->get() : nullptr);
  }
  const Names names(home, duplicates);
  CommandOutput output;
  uint64_t images = 0;
  for (const DuplicateCluster& cluster : found.clusters) images += cluster.members.size() + 1;
  output.json = {{"release", duplicates.snapshot().name()},
                 {"images", found.images},
                 {"asked", found.asked},
                 {"unreadable", found.unreadable},
                 {"complete", found.complete},
                 {"clusters_found", found.clusters.size()},
                 {"images_in_clusters", images},
                 {"clusters", nlohmann::ordered_json::array()}};
  for (size_t i = 0; i < found.clusters.size() && (flags.limit == 0 || i < flags.limit); ++i) {
    const DuplicateCluster& cluster = found.clusters[i];
    output.json["clusters"].push_back(
        Parsed(DuplicateClusterJson(cluster, [&](uint64_t document) { return names.Json(document); })));
    output.text += names.Line(cluster.representative) + "\n";
    for (const DuplicateCluster::Member& member : cluster.members) {
      output.text += "    " + names.Line(member.document) + "  (" + How(member.evidence) + ")\n";
    }
  }
  output.text += std::to_string(found.clusters.size()) + " clusters with " + std::to_string(images) + " of " +
                 std::to_string(found.images) + " images\n";
  if (!found.complete) output.text += "stopped early: there may be more; the next run goes on from here\n";
  return output;
}

absl::StatusOr<CommandOutput> Run(const CommonFlags& common, const Flags& flags) {
  LIKENESS_ASSIGN_OR_RETURN(const auto home, Home::Open(common.home, /*create=*/false));
  absl::StatusOr<std::unique_ptr<CollectionDuplicates>> duplicates = absl::InternalError("");
  {
    ProgressBar bar;
    duplicates = CollectionDuplicates::Open(
        *home, [&bar](uint64_t done, uint64_t total) { bar.Show("visual words", done, total); });
  }
  LIKENESS_RETURN_IF_ERROR(duplicates.status());
  if (!flags.picture.empty()) return OfPicture(*home, **duplicates, flags);
  return OfCollection(*home, **duplicates, flags);
}

}  // namespace

void AddDuplicatesCommand(Program& program) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = program.Add("duplicates", "Find the same photograph altered: of a picture, or all clusters",
                                  [&program, flags] { return Run(program.flags, *flags); });
  command->add_option("picture", flags->picture,
                      "A picture file, or the signature of an image; left out, the whole collection");
  command->add_option("--limit", flags->limit, "Duplicates or clusters told, at most; 0: all")->capture_default_str();
  command->add_flag("--similar", flags->similar, "Of a picture: tell similar ones, too");
  command->add_flag("--again", flags->again, "Ask every image anew, also those that were asked before");
  command->add_option("--threads", flags->threads, "Threads; 0: one for each processor")->capture_default_str();
}

}  // namespace likeness
