#include "bench/files.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "bench/report.h"

namespace likeness {

std::vector<std::filesystem::path> BenchFiles(const std::string& set) {
  namespace fs = std::filesystem;
  const char* named = std::getenv("LIKENESS_DATA");
  const fs::path data = named != nullptr ? fs::path(named) : fs::path(LIKENESS_SOURCE_DIR) / ".." / "shared" / "data";
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(data / set, error), end; !error && entry != end; entry.increment(error)) {
    if (entry->is_regular_file() && !entry->path().extension().string().starts_with(".json")) {
      files.push_back(entry->path());
    }
  }
  if (files.empty()) BenchFail("there are no pictures in " + (data / set).string() + ": set LIKENESS_DATA");
  std::ranges::sort(files);
  return files;
}

void IntoPageCache(const std::filesystem::path& folder) {
  std::vector<char> buffer(size_t{1} << 20);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    while (file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()))) {
    }
  }
}

}  // namespace likeness
