#include "pipeline/add.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>
#include <vector>

#include "pipeline/add_batch.h"

namespace likeness {
namespace {

constexpr size_t kBatch = 512;  // files between two commits

// "summer-dress_02.jpg" -> "summer dress 02": what a person would type to find it.
std::string WordsOfName(const std::filesystem::path& path) {
  std::string words = path.stem().string();
  std::ranges::replace_if(
      words, [](char c) { return c == '_' || c == '-' || c == '.' || c == '+'; }, ' ');
  return words;
}

// Collects candidates and records them by the batch.
class Batches {
 public:
  Batches(Home& home, const AddOptions& options, const RunControl& control, const Clock& clock)
      : home_(home), options_(options), control_(control), clock_(clock) {}

  absl::Status Add(AddCandidate candidate) {
    candidates_.push_back(std::move(candidate));
    return candidates_.size() < kBatch ? absl::OkStatus() : Flush();
  }
  absl::Status Flush() {
    if (candidates_.empty()) return absl::OkStatus();
    LIKENESS_RETURN_IF_ERROR(AddBatch(home_, candidates_, options_, clock_, report_));
    candidates_.clear();
    control_.progress("add", report_.files, total_);
    return absl::OkStatus();
  }
  void set_total(uint64_t total) { total_ = total; }
  bool stopped() const { return control_.stopped(); }
  const AddReport& report() const { return report_; }

 private:
  Home& home_;
  const AddOptions options_;
  const RunControl& control_;
  const Clock& clock_;
  uint64_t total_ = 0;
  std::vector<AddCandidate> candidates_;
  AddReport report_;
};

bool Hidden(const std::filesystem::path& path) { return path.filename().string().starts_with('.'); }

// Every file below `folder`, sorted, so that runs are alike.
absl::StatusOr<std::vector<std::filesystem::path>> FilesBelow(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  std::filesystem::recursive_directory_iterator walk(folder, std::filesystem::directory_options::skip_permission_denied,
                                                     error);
  if (error) return ErrnoStatus(error.value(), "cannot read the folder " + folder.string());
  for (const std::filesystem::recursive_directory_iterator end; walk != end; walk.increment(error)) {
    const bool is_folder = walk->is_directory(error) && !walk->is_symlink(error);
    if (Hidden(walk->path())) {
      if (is_folder) walk.disable_recursion_pending();
      continue;
    }
    if (!walk->is_directory(error)) files.push_back(walk->path());
  }
  std::ranges::sort(files);
  return files;
}

absl::StatusOr<std::string> TextOf(const nlohmann::json& line, const char* field, bool required) {
  const auto value = line.find(field);
  if (value == line.end() || value->is_null()) {
    if (required) return absl::InvalidArgumentError(std::string("the pin has no \"") + field + "\"");
    return std::string();
  }
  if (value->is_number_integer()) return value->dump();  // Identifiers are often numbers.
  if (!value->is_string()) return absl::InvalidArgumentError(std::string("\"") + field + "\" is not a text");
  return value->get<std::string>();
}

absl::StatusOr<AddCandidate> ParsePin(const std::string& line, const std::filesystem::path& base) {
  const nlohmann::json json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::InvalidArgumentError("not a JSON object");
  AddCandidate candidate;
  LIKENESS_ASSIGN_OR_RETURN(const std::string image, TextOf(json, "image", true));
  if (image.empty() || image.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError("\"image\" is not a path");
  }
  candidate.path = (base / image).lexically_normal();
  const std::pair<const char*, std::string*> fields[] = {
      {"pin", &candidate.pin.id},         {"board", &candidate.pin.board},
      {"user", &candidate.pin.user},      {"board_title", &candidate.pin.board_title},
      {"link", &candidate.pin.link},      {"description", &candidate.pin.description},
      {"created", &candidate.pin.created}};
  for (const auto& [name, target] : fields) {
    LIKENESS_ASSIGN_OR_RETURN(*target, TextOf(json, name, false));
  }
  if (candidate.pin.id.empty()) candidate.pin.id = "file:" + candidate.path.string();
  if (candidate.pin.board_title.empty()) candidate.pin.board_title = candidate.pin.board;
  return candidate;
}

AddCandidate FilePin(const std::filesystem::path& path, const std::string& board) {
  AddCandidate candidate{path, {}};
  candidate.pin.id = "file:" + path.string();
  candidate.pin.board = board;
  candidate.pin.board_title = board;
  candidate.pin.description = WordsOfName(path);
  return candidate;
}

}  // namespace

absl::StatusOr<AddReport> AddFolder(Home& home, const std::filesystem::path& folder, const AddOptions& options,
                                    const RunControl& control, const Clock& clock) {
  std::error_code error;
  const std::filesystem::path root = std::filesystem::canonical(folder, error);
  if (error) return ErrnoStatus(error.value(), "cannot read the folder " + folder.string());
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<std::filesystem::path> files, FilesBelow(root));
  Batches batches(home, options, control, clock);
  batches.set_total(files.size());
  for (const std::filesystem::path& path : files) {
    if (batches.stopped()) break;
    const std::filesystem::path inner = path.parent_path().lexically_relative(root);
    const std::string board = inner == "." ? root.filename().string() : inner.string();
    LIKENESS_RETURN_IF_ERROR(batches.Add(FilePin(path, board)));
  }
  LIKENESS_RETURN_IF_ERROR(batches.Flush());
  return batches.report();
}

absl::StatusOr<AddReport> AddLines(Home& home, std::istream& lines, const std::filesystem::path& base,
                                   const AddOptions& options, const RunControl& control, const Clock& clock) {
  std::error_code error;
  const std::filesystem::path from = std::filesystem::absolute(base, error);
  Batches batches(home, options, control, clock);
  std::string line;
  for (uint64_t number = 1; !batches.stopped() && std::getline(lines, line); ++number) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    const size_t first = line.find_first_not_of(" \t");
    if (first == std::string::npos) continue;
    if (line[first] != '{') {
      const std::filesystem::path path = (from / line).lexically_normal();
      LIKENESS_RETURN_IF_ERROR(batches.Add(FilePin(path, path.parent_path().filename().string())));
      continue;
    }
    absl::StatusOr<AddCandidate> candidate = ParsePin(line, from);
    if (!candidate.ok()) {
      LIKENESS_RETURN_IF_ERROR(batches.Flush());
      return Annotate(candidate.status(), "line " + std::to_string(number));
    }
    LIKENESS_RETURN_IF_ERROR(batches.Add(*std::move(candidate)));
  }
  LIKENESS_RETURN_IF_ERROR(batches.Flush());
  return batches.report();
}

}  // namespace likeness
