#include "bench/data.h"

#include <unistd.h>

#include <cstdlib>
#include <system_error>

#include "bench/report.h"
#include "infer/model_library.h"
#include "pipeline/add.h"
#include "pipeline/fingerprint.h"

namespace likeness {

std::filesystem::path BenchData() {
  const char* chosen = std::getenv("LIKENESS_DATA");
  const std::filesystem::path data = chosen != nullptr
                                         ? std::filesystem::path(chosen)
                                         : std::filesystem::path(LIKENESS_SOURCE_DIR).parent_path() / "shared" / "data";
  std::error_code error;
  if (!std::filesystem::is_directory(data, error)) {
    BenchFail("there is no evaluation data in " + data.string() + ": set LIKENESS_DATA to its folder");
  }
  return data;
}

std::unique_ptr<DeepExtractor> DefaultExtractor(size_t threads) {
  const auto model = ModelLibrary::Usual("likeness-home").Find(kDefaultModel);
  if (!model.ok()) BenchFail(MessageOf(model.status()));
  DeepOptions options;
  options.threads = threads;
  auto extractor = DeepExtractor::Create(*model, options);
  if (!extractor.ok()) BenchFail(MessageOf(extractor.status()));
  return *std::move(extractor);
}

IngestedHome IngestFolders(const std::filesystem::path& path, const std::vector<std::filesystem::path>& folders) {
  auto home = Home::Open(path, /*create=*/true);
  if (!home.ok()) BenchFail(MessageOf(home.status()));
  const AddOptions options{false, (*home)->config().threads};
  for (const auto& folder : folders) {
    if (const auto added = AddFolder(**home, folder, options, {}); !added.ok()) BenchFail(MessageOf(added.status()));
  }
  const auto extractors = CurrentExtractors(**home);
  if (!extractors.ok()) BenchFail(MessageOf(extractors.status()));
  const auto run = RunFingerprint(**home, *extractors, {});
  if (!run.ok()) BenchFail(MessageOf(run.status()));
  const auto features = BuildFeatures(**home, run->features);
  if (!features.ok()) BenchFail(MessageOf(features.status()));
  const auto index = BuildIndex(**home, *features, {});
  if (!index.ok()) BenchFail(MessageOf(index.status()));
  return {*std::move(home), (*index)->release.images()};
}

ScratchHome::ScratchHome(const std::string& name)
    : path_(std::filesystem::temp_directory_path() / ("likeness_bench_" + name + "_" + std::to_string(::getpid()))) {
  std::filesystem::remove_all(path_);
}

ScratchHome::~ScratchHome() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

}  // namespace likeness
