#include "bench/pictures.h"

#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "base/bytes.h"
#include "base/file.h"
#include "bench/report.h"
#include "image/decode.h"
#include "image/encode.h"
#include "image/resample.h"

namespace likeness {

std::filesystem::path BenchDataFolder() {
  const char* chosen = std::getenv("LIKENESS_DATA");
  return chosen != nullptr ? std::filesystem::path(chosen)
                           : std::filesystem::path(LIKENESS_SOURCE_DIR).parent_path() / "shared" / "data";
}

std::vector<std::string> ReadBenchFiles(const std::string& folder, size_t count) {
  const std::filesystem::path path = BenchDataFolder() / folder;
  std::vector<std::filesystem::path> paths;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(path, error)) paths.push_back(entry.path());
  if (paths.empty())
    BenchFail("there are no pictures in " + path.string() + ": set LIKENESS_DATA to the data's folder");
  std::ranges::sort(paths);
  if (count == 0) count = paths.size();
  std::vector<std::string> files;
  const size_t step = std::max<size_t>(1, paths.size() / count);
  for (size_t i = 0; i < paths.size() && files.size() < count; i += step) {
    auto file = ReadFile(paths[i]);
    if (!file.ok()) BenchFail(MessageOf(file.status()));
    files.push_back(*std::move(file));
  }
  return files;
}

std::vector<std::string> MakeBenchJpegs(const BenchPictures& wanted) {
  std::vector<std::string> files;
  for (const std::string& photograph : ReadBenchFiles("ccp/photos", wanted.count)) {
    const auto pixels = DecodeImage(AsBytes(photograph));
    if (!pixels.ok()) BenchFail(MessageOf(pixels.status()));
    const auto sized = Resample(*pixels, std::nullopt, {wanted.width, wanted.height, Fit::kCrop});
    auto jpeg = sized.ok() ? EncodeJpeg(*sized, wanted.quality) : sized.status();
    if (!jpeg.ok()) BenchFail(MessageOf(jpeg.status()));
    files.push_back(*std::move(jpeg));
  }
  return files;
}

namespace {

double Seconds(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace

double ThreadSeconds() { return Seconds(CLOCK_THREAD_CPUTIME_ID); }
double ProcessSeconds() { return Seconds(CLOCK_PROCESS_CPUTIME_ID); }

}  // namespace likeness
