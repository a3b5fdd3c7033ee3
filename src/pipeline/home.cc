#include "pipeline/home.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <system_error>

#include "base/file.h"
#include "base/thread_pool.h"
#include "pipeline/engines.h"

namespace likeness {

namespace {

// Scratch files are named PID_NUMBER_NAME: those of processes that are no more are nobody's.
void SweepScratch(const std::filesystem::path& folder) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const int pid = std::atoi(entry.path().filename().c_str());
    if (pid > 0 && ::kill(pid, 0) != 0 && errno == ESRCH) std::filesystem::remove(entry.path(), error);
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Home>> Home::Open(const std::filesystem::path& path, bool create) {
  std::error_code error;
  LIKENESS_ASSIGN_OR_RETURN(Config config, ReadConfig(path / "likeness.toml"));
  const bool exists = !config.catalog.url.empty() || std::filesystem::exists(path / "catalog.sqlite", error);
  if (!exists && !create) {
    return absl::NotFoundError("there is no collection in " + path.string() + ": make one with `likeness --home " +
                               path.string() + " add FOLDER`");
  }
  std::filesystem::create_directories(path / "models", error);
  if (error) return ErrnoStatus(error.value(), "cannot create " + path.string());
  const std::filesystem::path whole = std::filesystem::canonical(path, error);
  if (error) return ErrnoStatus(error.value(), "cannot open " + path.string());
  std::unique_ptr<Home> home(new Home(whole, ModelLibrary::Usual(whole)));
  home->config_ = std::move(config);
  if (home->config_.models.empty()) home->config_.models = {std::string(kDefaultModel)};
  if (home->config_.threads == 0) home->config_.threads = AvailableThreads();
  home->token_cache_ = std::make_shared<TokenCache>(home->config_.token_cache_bytes);
  LIKENESS_ASSIGN_OR_RETURN(home->objects_, OpenObjects(home->config_.objects, whole));
  LIKENESS_ASSIGN_OR_RETURN(home->catalog_, OpenCatalog(home->config_.catalog, whole));
  LIKENESS_ASSIGN_OR_RETURN(home->queue_, OpenQueue(home->config_.queue, whole));
  SweepScratch(whole / "scratch");
  return home;
}

absl::StatusOr<std::filesystem::path> Home::ScratchFile(const std::string& name) const {
  static std::atomic<uint64_t> counter{0};
  std::error_code error;
  std::filesystem::create_directories(path_ / "scratch", error);
  if (error) return ErrnoStatus(error.value(), "cannot create " + (path_ / "scratch").string());
  return path_ / "scratch" / (std::to_string(::getpid()) + "_" + std::to_string(counter++) + "_" + name);
}

absl::StatusOr<std::string> Home::ReadFrom(const std::filesystem::path& file, const Signature& signature) const {
  absl::StatusOr<std::string> content = ReadFile(file, config_.image.max_bytes);
  if (absl::IsNotFound(content.status())) {
    std::error_code error;
    if (!std::filesystem::exists(file.parent_path(), error)) {
      return absl::UnavailableError("the folder " + file.parent_path().string() +
                                    " is not there: is its disk mounted?");
    }
    return absl::NotFoundError("its file is gone: " + file.string());
  }
  if (content.ok() && Signature::Of(AsBytes(*content)) != signature) {
    return absl::FailedPreconditionError("its file has changed since it was added: " + file.string());
  }
  return content;
}

absl::StatusOr<std::string> Home::ReadImage(const ImageRecord& image) const {
  const std::string place = image.location.substr(image.location.find(':') + 1);
  if (!image.location.starts_with("file:")) {
    LIKENESS_ASSIGN_OR_RETURN(const Blob blob, objects_->Get(place));
    if (Signature::Of(blob.bytes()) != image.signature)
      return absl::DataLossError("the kept copy is damaged: " + place);
    return std::string(AsText(blob.bytes()));
  }
  absl::StatusOr<std::string> content = ReadFrom(place, image.signature);
  if (content.ok() || absl::IsOutOfRange(content.status())) return content;
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<std::string> paths, catalog_->Paths(image.signature));
  for (const std::string& path : paths) {
    if (absl::StatusOr<std::string> other = ReadFrom(path, image.signature); other.ok()) return other;
  }
  return content;
}

}  // namespace likeness
