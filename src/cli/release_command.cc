// likeness release: which index releases there are, which one serves, and what nobody needs any more.
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <map>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/progress_bar.h"
#include "pipeline/garbage.h"
#include "pipeline/materialise.h"
#include "pipeline/releases.h"

namespace likeness {
namespace {

using Json = nlohmann::ordered_json;

struct ReleaseFlags {
  std::vector<std::string> models;
  std::string name;
  KeepRules rules;
  bool dry_run = false;
  bool yes = false;
};

Json FeaturesJson(const Release& release) {
  Json features = Json::array();
  for (const Release::Feature& feature : release.features) features.push_back(feature.key.ToString());
  return features;
}

absl::StatusOr<CommandOutput> RunList(const CommonFlags& common) {
  LIKENESS_ASSIGN_OR_RETURN(const auto home, Home::Open(common.home, /*create=*/false));
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<ReleaseEntry> entries, ListReleases(*home));
  CommandOutput output;
  output.json["releases"] = Json::array();
  for (const ReleaseEntry& entry : entries) {
    const Release& release = entry.release;
    output.json["releases"].push_back({{"name", release.name},
                                       {"created", release.created},
                                       {"images", release.images()},
                                       {"shards", release.shards.size()},
                                       {"features", FeaturesJson(release)},
                                       {"current", entry.current},
                                       {"previous", entry.previous}});
    output.text += release.name + "  " + release.created + "  " + std::to_string(release.images()) + " images" +
                   (entry.current ? "  current" : "") + (entry.previous ? "  previous" : "") + "\n";
    for (const Release::Feature& feature : release.features) output.text += "  " + feature.key.ToString() + "\n";
  }
  if (entries.empty()) output.text = "no release yet: `likeness index` makes one\n";
  return output;
}

absl::StatusOr<CommandOutput> RunCreate(const CommonFlags& common, const ReleaseFlags& flags) {
  const Stopwatch watch;
  LIKENESS_ASSIGN_OR_RETURN(const auto home, Home::Open(common.home, /*create=*/false));
  if (!flags.models.empty()) home->mutable_config().models = flags.models;
  absl::StatusOr<std::optional<IndexReport>> report = absl::InternalError("");
  {
    ProgressBar bar;
    report = CreateCurrentRelease(*home, bar.Control());
  }
  LIKENESS_RETURN_IF_ERROR(report.status());
  if (!*report) return CommandOutput{{{"stopped", true}}, "stopped; everything so far is kept\n", true};
  const Release& release = (*report)->release;
  return CommandOutput{{{"release", release.name},
                        {"images", release.images()},
                        {"shards", release.shards.size()},
                        {"built", (*report)->built.images},
                        {"created", (*report)->created},
                        {"ms", watch.Milliseconds()}},
                       "release " + release.name + ": " + std::to_string(release.images()) + " images" +
                           ((*report)->created ? "" : ", as before") + "; `likeness release switch " + release.name +
                           "` lets it serve\n"};
}

absl::StatusOr<CommandOutput> RunSwitch(const CommonFlags& common, const ReleaseFlags& flags) {
  LIKENESS_ASSIGN_OR_RETURN(const auto home, Home::Open(common.home, /*create=*/false));
  LIKENESS_ASSIGN_OR_RETURN(const bool switched, SwitchRelease(*home, flags.name));
  return CommandOutput{{{"release", flags.name}, {"switched", switched}},
                       "release " + flags.name + (switched ? " is current now\n" : " was current already\n")};
}

absl::StatusOr<CommandOutput> RunRollBack(const CommonFlags& common) {
  LIKENESS_ASSIGN_OR_RETURN(const auto home, Home::Open(common.home, /*create=*/false));
  LIKENESS_ASSIGN_OR_RETURN(const std::string name, RollBack(*home));
  return CommandOutput{{{"release", name}, {"switched", true}}, "release " + name + " is current again\n"};
}

std::string Size(uint64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f MB", static_cast<double>(bytes) / 1e6);
  return text;
}

struct Group {
  uint64_t files = 0, bytes = 0;
};

// By what a person would name: a generation's files, a version's features.
std::map<std::string, Group> Groups(const Garbage& garbage) {
  std::map<std::string, Group> groups;
  for (const ObjectInfo& object : garbage.objects) {
    const bool feature = object.key.starts_with("features/");
    size_t end = object.key.find('/');
    for (int part = 0; part < (feature ? 2 : 1) && end != std::string::npos; ++part) {
      end = object.key.find('/', end + 1);
    }
    Group& group = groups[object.key.substr(0, end)];
    ++group.files;
    group.bytes += object.size;
  }
  if (!garbage.thumbnails.empty()) groups["thumbnails"].files = garbage.thumbnails.size();
  return groups;
}

CommandOutput Describe(const Garbage& garbage, bool removed) {
  CommandOutput output;
  Json objects = Json::array();
  const char* const verb = removed ? "removed " : "goes: ";
  for (const std::string& name : garbage.releases) output.text += verb + std::string("release ") + name + "\n";
  for (const auto& [name, group] : Groups(garbage)) {
    objects.push_back({{"under", name}, {"files", group.files}, {"bytes", group.bytes}});
    output.text += verb + name + ": " + std::to_string(group.files) + " files, " + Size(group.bytes) + "\n";
  }
  if (garbage.empty()) {
    output.text = "nothing to remove\n";
  } else {
    output.text += Size(garbage.bytes) + " in all\n";
  }
  output.json = {{"kept", garbage.kept},
                 {"releases", garbage.releases},
                 {"objects", std::move(objects)},
                 {"bytes", garbage.bytes},
                 {"removed", removed}};
  return output;
}

// Asks on the terminal.
bool Confirmed() {
  std::fputs("remove this? [y/N] ", stdout);
  std::fflush(stdout);
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "yes";
}

absl::StatusOr<CommandOutput> RunGc(const CommonFlags& common, const ReleaseFlags& flags) {
  LIKENESS_ASSIGN_OR_RETURN(const auto home, Home::Open(common.home, /*create=*/false));
  LIKENESS_ASSIGN_OR_RETURN(const Garbage garbage, FindGarbage(*home, flags.rules));
  CommandOutput plan = Describe(garbage, /*removed=*/false);
  if (flags.dry_run || garbage.empty()) return plan;
  std::fputs(plan.text.c_str(), stdout);
  if (!flags.yes) {
    if (::isatty(STDIN_FILENO) == 0) {
      return absl::FailedPreconditionError("nothing was removed: say --yes to remove this, or --dry-run to look only");
    }
    if (!Confirmed()) {
      plan.text = "nothing was removed\n";
      return plan;
    }
  }
  absl::StatusOr<Garbage> removed = absl::InternalError("");
  {
    ProgressBar bar;
    removed = RemoveGarbage(*home, flags.rules, garbage, bar.Control());
  }
  LIKENESS_RETURN_IF_ERROR(removed.status());
  CommandOutput output = Describe(*removed, /*removed=*/true);
  output.text = "removed " + std::to_string(removed->releases.size()) + " releases and " +
                std::to_string(removed->objects.size() + removed->thumbnails.size()) + " files, " +
                Size(removed->bytes) + "\n";
  return output;
}

}  // namespace

void AddReleaseCommand(Program& program) {
  auto flags = std::make_shared<ReleaseFlags>();
  CLI::App* release = program.Add("release", "List, create, switch and remove index releases", nullptr);
  release->require_subcommand(1);
  program.Add(
      "list", "Show every release, newest first", [&program] { return RunList(program.flags); }, release);
  CLI::App* create = program.Add(
      "create", "Build a release without letting it serve",
      [&program, flags] { return RunCreate(program.flags, *flags); }, release);
  create->add_option("--model", flags->models, "Model of the deep feature, instead of the configured ones; repeatable");
  CLI::App* change = program.Add(
      "switch", "Let a release serve", [&program, flags] { return RunSwitch(program.flags, *flags); }, release);
  change->add_option("name", flags->name, "Name of the release")->required();
  program.Add(
      "rollback", "Let the release serve that served before", [&program] { return RunRollBack(program.flags); },
      release);
  CLI::App* gc = program.Add(
      "gc", "Remove what no kept release names", [&program, flags] { return RunGc(program.flags, *flags); }, release);
  gc->add_flag("--dry-run", flags->dry_run, "Show what would be removed, and remove nothing");
  gc->add_flag("--yes", flags->yes, "Remove without asking");
  gc->add_option("--keep-days", flags->rules.days, "Keep releases that are younger than this")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  gc->add_option("--keep", flags->rules.newest, "Keep so many of the newest releases, whatever their age")
      ->capture_default_str();
}

}  // namespace likeness
