#include "eval/labelled_set.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "base/bytes.h"
#include "base/file.h"
#include "base/thread_pool.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

struct Entry {
  fs::path path;
  std::string label;
  std::string text = {};
};

// Reads every file for its signature, drops repeated bytes (the first of them in order of path stays) and numbers the
// labels.
absl::StatusOr<LabelledSet> FromEntries(std::vector<Entry> entries, const ImageLimits& limits,
                                        const std::string& where) {
  std::ranges::sort(entries, {}, &Entry::path);
  std::vector<Signature> signatures(entries.size());
  std::vector<absl::Status> failures(entries.size());
  ParallelFor(entries.size(), AvailableThreads(), [&](size_t i) {
    auto bytes = ReadFile(entries[i].path, limits.max_bytes);
    if (bytes.ok()) {
      signatures[i] = Signature::Of(AsBytes(*bytes));
    } else {
      failures[i] = bytes.status();
    }
  });
  LabelledSet set;
  std::map<Signature, const Entry*> first;
  for (size_t i = 0; i < entries.size(); ++i) {
    if (!failures[i].ok()) {
      set.problems.push_back({entries[i].path.string(), MessageOf(failures[i])});
    } else if (!first.emplace(signatures[i], &entries[i]).second) {
      ++set.duplicates;
    }
  }
  if (first.size() < 2) {
    return absl::InvalidArgumentError(where + " has no two pictures with labels to compare");
  }
  std::map<std::string, uint32_t> numbers;
  for (const auto& [signature, entry] : first) numbers.emplace(entry->label, 0);
  for (auto& [label, number] : numbers) {
    number = static_cast<uint32_t>(set.labels.size());
    set.labels.push_back(label);
  }
  for (const auto& [signature, entry] : first) {
    set.pictures.push_back({signature, entry->path, numbers.at(entry->label), entry->text});
  }
  return set;
}

// Where the picture of a line is, or where it was looked for first.
fs::path Locate(const fs::path& folder, const std::string& image) {
  std::error_code error;
  const fs::path beside = folder / image;
  if (fs::is_regular_file(beside, error)) return beside;
  const fs::path below = folder / "images" / image;
  return fs::is_regular_file(below, error) ? below : beside;
}

}  // namespace

void LabelledSet::Drop(const std::vector<bool>& drop) {
  LIKENESS_CHECK(drop.size() == pictures.size());
  size_t kept = 0;
  for (size_t i = 0; i < pictures.size(); ++i) {
    if (drop[i]) continue;
    if (kept != i) pictures[kept] = std::move(pictures[i]);
    ++kept;
  }
  pictures.resize(kept);
}

absl::StatusOr<LabelledSet> ReadLabelledFolder(const fs::path& folder, const ImageLimits& limits) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    return absl::NotFoundError("there is no folder " + folder.string());
  }
  std::vector<Entry> entries;
  fs::recursive_directory_iterator walk(folder, error);
  for (; !error && walk != fs::recursive_directory_iterator(); walk.increment(error)) {
    const fs::path& path = walk->path();
    std::error_code status_error;
    if (path.filename().string().starts_with('.')) {
      if (walk->is_directory(status_error)) walk.disable_recursion_pending();
      continue;
    }
    if (walk.depth() == 0 || !walk->is_regular_file(status_error)) continue;
    entries.push_back({path, path.lexically_relative(folder).begin()->string()});
  }
  if (error) return ErrnoStatus(error.value(), "cannot list " + folder.string());
  return FromEntries(std::move(entries), limits, folder.string());
}

absl::StatusOr<LabelledSet> ReadLabelledLines(const fs::path& file, const std::string& field, const ImageLimits& limits,
                                              const std::string& text_field) {
  LIKENESS_ASSIGN_OR_RETURN(const std::string text, ReadFile(file));
  std::vector<Entry> entries;
  size_t unlabelled = 0;
  size_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const auto where = [&] { return file.string() + ":" + std::to_string(number) + ": "; };
    const nlohmann::json object = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!object.is_object()) return absl::InvalidArgumentError(where() + "a line must be one JSON object");
    const auto image = object.find("image");
    if (image == object.end() || !image->is_string() || image->get_ref<const std::string&>().empty()) {
      return absl::InvalidArgumentError(where() + "`image` must be the path of a picture");
    }
    const auto label = object.find(field);
    std::string name;
    if (label != object.end() && !label->is_null()) {
      if (label->is_string()) {
        name = *label;
      } else if (label->is_number() || label->is_boolean()) {
        name = label->dump();
      } else {
        return absl::InvalidArgumentError(where() + "`" + field + "` must be a text or a number");
      }
    }
    if (name.empty()) {
      ++unlabelled;
      continue;
    }
    const auto words = text_field.empty() ? object.end() : object.find(text_field);
    entries.push_back({Locate(file.parent_path(), *image), std::move(name),
                       words != object.end() && words->is_string() ? words->get<std::string>() : std::string()});
  }
  if (entries.empty() && unlabelled > 0) {
    return absl::InvalidArgumentError("no line of " + file.string() + " has the field `" + field + "`");
  }
  LIKENESS_ASSIGN_OR_RETURN(LabelledSet set, FromEntries(std::move(entries), limits, file.string()));
  set.unlabelled = unlabelled;
  return set;
}

}  // namespace likeness
