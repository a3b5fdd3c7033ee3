// What benchmarks work on: the evaluation data, the default model, and a home that goes away.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "feature/deep.h"
#include "pipeline/home.h"

namespace likeness {

// $LIKENESS_DATA, or ../shared/data beside the source tree. Ends the program with a sentence where it is absent.
std::filesystem::path BenchData();

// The default model, ready to run. Ends the program with a sentence where it was not prepared.
std::unique_ptr<DeepExtractor> DefaultExtractor(size_t threads);

// Adds, fingerprints and indexes folders of pictures into the home at `path`, which is made when it is missing; returns
// it open. Ends the program with a sentence when anything fails. `images`: in the release.
struct IngestedHome {
  std::unique_ptr<Home> home;
  uint64_t images = 0;
};
IngestedHome IngestFolders(const std::filesystem::path& path, const std::vector<std::filesystem::path>& folders);

// A path for a home that does not exist yet and is removed at the end.
class ScratchHome {
 public:
  explicit ScratchHome(const std::string& name);
  ~ScratchHome();
  ScratchHome(const ScratchHome&) = delete;
  ScratchHome& operator=(const ScratchHome&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace likeness
