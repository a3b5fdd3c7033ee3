#include "learn/descriptor_sample.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"
#include "base/thread_pool.h"
#include "feature/sift.h"
#include "image/decode.h"
#include "image/decode_size.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr size_t kChunk = 64;  // pictures between two records of how far it is

struct Progress {
  uint64_t pictures = 0;
  uint64_t unreadable = 0;
  uint64_t bytes = 0;
};

// What must be equal for a run to go on.
Json Identity(const TrainingPictures& pictures, const SampleOptions& options) {
  return {{"format", "likeness.descriptor-sample"},
          {"format_version", 1},
          {"descriptor_revision", kLocalDescriptorRevision},
          {"pictures", pictures.count},
          {"pictures_digest", pictures.digest},
          {"most", options.most},
          {"seed", options.seed}};
}

absl::StatusOr<Progress> ReadProgress(const fs::path& path, const Json& identity) {
  const absl::StatusOr<std::string> text = ReadFile(path, 1 << 20);
  if (absl::IsNotFound(text.status())) return Progress{};
  if (!text.ok()) return text.status();
  const Json json = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  const auto number = [&](const char* name) {
    return json.contains(name) && json[name].is_number_unsigned() ? json[name].get<uint64_t>() : 0;
  };
  if (!json.is_object() || !json.contains("identity") || json["identity"] != identity) {
    return absl::FailedPreconditionError(path.parent_path().string() +
                                         " was begun with other pictures or options: remove it to begin anew");
  }
  return Progress{number("pictures_done"), number("unreadable"), number("bytes")};
}

absl::Status WriteProgress(const fs::path& path, const Json& identity, const Progress& progress) {
  const Json json = {{"identity", identity},
                     {"pictures_done", progress.pictures},
                     {"unreadable", progress.unreadable},
                     {"bytes", progress.bytes}};
  return WriteFileAtomic(path, AsBytes(json.dump(1) + "\n"));
}

absl::StatusOr<LocalFeatures> FeaturesOf(const TrainingPictures& pictures, size_t i) {
  LIKENESS_ASSIGN_OR_RETURN(const std::string bytes, pictures.read(i));
  LIKENESS_ASSIGN_OR_RETURN(const Pixels pixels, DecodeImage(AsBytes(bytes), {}, kStandardSize));
  return ExtractLocal(pixels);
}

}  // namespace

absl::StatusOr<DescriptorSample> GatherDescriptors(const TrainingPictures& pictures, const SampleOptions& options,
                                                   const fs::path& folder, const TrainingControl& control) {
  const fs::path rows_path = folder / "descriptors.u8", progress_path = folder / "sample.json";
  std::error_code error;
  fs::create_directories(folder, error);
  const Json identity = Identity(pictures, options);
  LIKENESS_ASSIGN_OR_RETURN(Progress progress, ReadProgress(progress_path, identity));
  // What was appended after the last record does not count.
  if (!fs::exists(rows_path, error) || fs::file_size(rows_path, error) < progress.bytes) progress = {};
  { std::ofstream touch(rows_path, std::ios::binary | std::ios::app); }
  fs::resize_file(rows_path, progress.bytes, error);
  if (error) return ErrnoStatus(error.value(), "cannot write " + rows_path.string());

  std::vector<size_t> order(pictures.count);
  std::iota(order.begin(), order.end(), size_t{0});
  Random random(options.seed);
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.Below(i)]);

  const uint64_t most = options.most * kLocalDescriptorSize;
  std::vector<LocalFeatures> features(kChunk);
  std::vector<uint8_t> failed(kChunk);
  while (progress.bytes < most && progress.pictures < pictures.count) {
    control.progress("descriptors", progress.bytes / kLocalDescriptorSize, options.most);
    if (control.stopped()) return TrainingStopped();
    const size_t first = progress.pictures, count = std::min<size_t>(kChunk, pictures.count - first);
    ParallelFor(count, options.threads, [&](size_t i) {
      absl::StatusOr<LocalFeatures> found = FeaturesOf(pictures, order[first + i]);
      failed[i] = !found.ok();
      features[i] = found.ok() ? *std::move(found) : LocalFeatures{};
    });
    std::ofstream file(rows_path, std::ios::binary | std::ios::app);
    for (size_t i = 0; i < count; ++i) {
      const uint64_t size = std::min<uint64_t>(features[i].descriptors.size(), most - progress.bytes);
      file.write(reinterpret_cast<const char*>(features[i].descriptors.data()), static_cast<std::streamsize>(size));
      progress.bytes += size;
      progress.unreadable += failed[i];
    }
    progress.pictures += count;
    file.close();
    if (!file) return absl::ResourceExhaustedError("cannot write " + rows_path.string() + ": is the disk full?");
    LIKENESS_RETURN_IF_ERROR(WriteProgress(progress_path, identity, progress));
  }
  if (progress.bytes == 0) {
    return absl::InvalidArgumentError("no picture has a keypoint: give --data folders with photographs");
  }
  control.progress("descriptors", progress.bytes / kLocalDescriptorSize, progress.bytes / kLocalDescriptorSize);
  DescriptorSample sample;
  sample.pictures = progress.pictures;
  sample.unreadable = progress.unreadable;
  LIKENESS_ASSIGN_OR_RETURN(sample.file, MappedFile::Open(rows_path));
  return sample;
}

}  // namespace likeness
