// likeness cost: what a collection of any size would take, from the rates measured here, beside the paper's figures.
#include <cmath>
#include <cstdio>

#include "cli/command.h"
#include "pipeline/cost.h"

namespace likeness {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kDay = 86'400;
// Jing et al., "Visual Search at Pinterest", KDD 2015, section 2.2.
constexpr char kPaper[] =
    "several hundred 32-core machines for a little over a day, about 5 TB of features, about 5 machines from then on";

template <typename... Arguments>
std::string Format(const char* format, Arguments... arguments) {
  char text[256];
  std::snprintf(text, sizeof(text), format, arguments...);
  return text;
}

std::string Terabytes(double bytes) {
  return bytes >= 1e12 ? Format("%.2f TB", bytes / 1e12) : Format("%.1f GB", bytes / 1e9);
}

// A number as people write it, with no more than four digits that say something.
std::string Number(double value) { return value < 10 ? Format("%.2f", value) : Format("%.0f", value); }

Json Optional(const std::optional<double>& value, double factor = 1) {
  return value ? Json(*value * factor) : Json(nullptr);
}

Json ItemJson(const CostItem& item, const CostQuestion& question) {
  return {{"feature", item.feature.ToString()},
          {"measured_images", item.measured_images},
          {"core_seconds_per_image", Optional(item.core_seconds)},
          {"core_hours", Optional(item.core_seconds, question.images / 3600)},
          {"bytes_per_image", Optional(item.bytes)},
          {"bytes", Optional(item.bytes, question.images)}};
}

std::string ItemText(const std::string& name, const CostItem& item, const CostQuestion& question) {
  std::string text = Format("  %-28s", name.c_str());
  if (!item.core_seconds) {
    text += "not measured yet: run `likeness fingerprint` over some pictures";
  } else {
    text +=
        Format("%9.3f ms  %12.0f core hours", *item.core_seconds * 1e3, CoreHours(*item.core_seconds, question.images));
    if (item.bytes)
      text += Format("  %9.0f bytes  %10s", *item.bytes, Terabytes(*item.bytes * question.images).c_str());
  }
  return text + "\n";
}

absl::StatusOr<CommandOutput> RunCost(const CommonFlags& common, const CostQuestion& question) {
  LIKENESS_ASSIGN_OR_RETURN(const auto home, Home::Open(common.home, /*create=*/false));
  LIKENESS_ASSIGN_OR_RETURN(const Cost cost, MeasureCost(*home));
  const double machines = Machines(cost.core_seconds, question.images, question.deadline_seconds);
  CommandOutput output;
  Json features = Json::array();
  for (const CostItem& item : cost.features) features.push_back(ItemJson(item, question));
  output.json = {{"images", question.images},
                 {"deadline_seconds", question.deadline_seconds},
                 {"complete", cost.complete},
                 {"decode", ItemJson(cost.decode, question)},
                 {"features", std::move(features)},
                 {"core_hours", CoreHours(cost.core_seconds, question.images)},
                 {"machine_cores", kMachineCores},
                 {"machines", std::ceil(machines)},
                 {"feature_bytes", cost.feature_bytes * question.images},
                 {"fingerprint_bytes", Optional(cost.fingerprint_bytes, question.images)},
                 {"index_bytes", Optional(cost.index_bytes, question.images)},
                 {"daily", nullptr},
                 {"paper", kPaper}};
  std::string& text = output.text;
  text = Number(question.images) + " images, by what was measured on this machine:\n";
  text += ItemText("reading pixels", cost.decode, question);
  for (const CostItem& item : cost.features) text += ItemText(item.feature.type, item, question);
  text += Format("%s%.0f core hours: %.0f machines of %.0f cores for %s hours; %s of features\n",
                 cost.complete ? "" : "of what was measured: ", CoreHours(cost.core_seconds, question.images),
                 std::ceil(machines), kMachineCores, Number(question.deadline_seconds / 3600).c_str(),
                 Terabytes(cost.feature_bytes * question.images).c_str());
  if (cost.fingerprint_bytes && cost.index_bytes) {
    text += "beside them " + Terabytes(*cost.fingerprint_bytes * question.images) + " of fingerprints and " +
            Terabytes(*cost.index_bytes * question.images) + " of index\n";
  }
  if (question.daily) {
    const double steady = Machines(cost.core_seconds, *question.daily, kDay);
    output.json["daily"] = {{"images", *question.daily},
                            {"core_hours", CoreHours(cost.core_seconds, *question.daily)},
                            {"machines", steady},
                            {"feature_bytes", cost.feature_bytes * *question.daily}};
    text += Number(*question.daily) + " more a day: " + Number(CoreHours(cost.core_seconds, *question.daily)) +
            " core hours a day, " + Number(steady) + " machines, " + Terabytes(cost.feature_bytes * *question.daily) +
            " of features a day\n";
  }
  text += std::string("the paper: ") + kPaper + "\n";
  return output;
}

}  // namespace

void AddCostCommand(Program& program) {
  auto question = std::make_shared<CostQuestion>();
  auto daily = std::make_shared<double>(0);
  CLI::App* command =
      program.Add("cost", "Estimate machines and bytes for a collection of any size, from the rates measured here",
                  [&program, question, daily] {
                    if (*daily > 0) question->daily = *daily;
                    return RunCost(program.flags, *question);
                  });
  command->add_option("--images", question->images, "Images to be computed")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--deadline", question->deadline_seconds, "Time for it: seconds, or 90m, 24h, 7d")
      ->transform(CLI::AsNumberWithUnit(std::map<std::string, double>{{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}}))
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--daily", *daily, "New images a day, for the steady state")->check(CLI::PositiveNumber);
}

}  // namespace likeness
