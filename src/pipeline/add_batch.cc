#include "pipeline/add_batch.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <optional>

#include "base/file.h"
#include "base/thread_pool.h"
#include "image/decode.h"
#include "store/object_keys.h"

namespace likeness {
namespace {

// One distinct file of the batch.
struct File {
  std::string path;
  SourceRecord source;
  std::optional<ImageRecord> image;  // when it was opened and is not refused unread
  bool opened = false;
  bool known = false;    // recorded already, as it is
  absl::Status failure;  // of the world: ends the run
};

// Fills size and time of change; false, with a reason, when there is no regular file.
bool Stat(const std::string& path, SourceRecord& source) {
  struct stat info;
  source.path = path;
  // A reason that may go away (no permission, no file) is recorded with an impossible time, so that it is tried again.
  source.modified_ns = -1;
  if (::stat(path.c_str(), &info) != 0) {
    source.reason = std::string("cannot be opened: ") + std::strerror(errno);
    return false;
  }
  if (!S_ISREG(info.st_mode)) {
    source.reason = "not a regular file";
    return false;
  }
  source.size = static_cast<uint64_t>(info.st_size);
  source.modified_ns = static_cast<int64_t>(info.st_mtim.tv_sec) * 1'000'000'000 + info.st_mtim.tv_nsec;
  return true;
}

void Open(Home& home, const AddOptions& options, Epoch today, File& file) {
  const ImageLimits& limits = home.config().image;
  SourceRecord& source = file.source;
  file.opened = true;
  if (source.size > limits.max_bytes) {
    source.reason = "the file has " + std::to_string(source.size) + " bytes, the limit (image.max_bytes) is " +
                    std::to_string(limits.max_bytes);
    return;
  }
  const absl::StatusOr<std::string> content = ReadFile(file.path, limits.max_bytes);
  if (!content.ok()) {
    source.reason = MessageOf(content.status());
    source.modified_ns = -1;
    return;
  }
  if (content->empty()) {
    source.reason = "the file is empty";
    return;
  }
  const std::span<const std::byte> bytes = AsBytes(*content);
  ImageRecord image;
  image.signature = Signature::Of(bytes);
  image.bytes = bytes.size();
  image.epoch = today;
  image.location = "file:" + file.path;
  source.signature = image.signature;
  const absl::StatusOr<ImageHeader> header = ReadImageHeader(bytes, limits);
  if (header.ok()) {
    image.format = header->format;
    image.width = header->width;
    image.height = header->height;
    if (options.copy) {
      const std::string key = ImageKey(image.signature);
      const absl::Status put = home.objects().Put(key, bytes, {.if_absent = true});
      if (!put.ok() && !absl::IsAlreadyExists(put)) file.failure = put;
      image.location = "object:" + key;
    }
  } else if (BlameOf(header.status()) == Blame::kWorld) {
    file.failure = header.status();
  } else {
    image.reason = MessageOf(header.status());
  }
  file.image = std::move(image);
}

}  // namespace

absl::Status AddBatch(Home& home, const std::vector<AddCandidate>& candidates, const AddOptions& options,
                      const Clock& clock, AddReport& report) {
  const Epoch today = Epoch::Of(clock.Now());
  std::vector<std::string> paths, pin_ids;
  std::map<std::string, size_t> file_of;
  for (const AddCandidate& candidate : candidates) {
    if (file_of.emplace(candidate.path.string(), paths.size()).second) paths.push_back(candidate.path.string());
    pin_ids.push_back(candidate.pin.id);
  }
  LIKENESS_ASSIGN_OR_RETURN(const auto recorded, home.catalog().Sources(paths));
  LIKENESS_ASSIGN_OR_RETURN(const auto digests, home.catalog().PinDigests(pin_ids));

  std::vector<File> files(paths.size());
  ParallelFor(files.size(), options.threads, [&](size_t i) {
    File& file = files[i];
    file.path = paths[i];
    if (!Stat(file.path, file.source)) return;
    if (recorded[i] && recorded[i]->size == file.source.size && recorded[i]->modified_ns == file.source.modified_ns) {
      file.source = *recorded[i];
      file.known = true;
      return;
    }
    Open(home, options, today, file);
  });

  // Which of the images that were read are new: for the report, and so that one refused before is counted once.
  std::vector<Signature> seen;
  for (const File& file : files) {
    LIKENESS_RETURN_IF_ERROR(file.failure);
    if (file.image) seen.push_back(file.image->signature);
  }
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<ImageRecord> before, home.catalog().Images(seen));
  std::map<Signature, bool> is_new;
  for (const Signature& signature : seen) is_new[signature] = true;
  for (const ImageRecord& image : before) is_new[image.signature] = false;

  std::vector<Addition> additions;
  for (File& file : files) {
    report.read += file.opened ? 1 : 0;
    if (file.known) continue;
    if (file.image ? !file.image->reason.empty() : !file.source.reason.empty()) ++report.quarantined;
    if (file.image && file.image->reason.empty() && std::exchange(is_new[file.image->signature], false)) {
      ++report.images;
    }
    additions.push_back({file.source, file.image, std::nullopt});
  }
  for (size_t i = 0; i < candidates.size(); ++i) {
    const File& file = files[file_of[candidates[i].path.string()]];
    ++report.files;
    if (!file.source.signature) continue;
    Pin pin = candidates[i].pin;
    pin.image = *file.source.signature;
    if (digests[i] && *digests[i] == PinDigest(pin)) continue;
    ++report.pins;
    additions.push_back({{}, std::nullopt, std::move(pin)});
  }
  if (additions.empty()) return absl::OkStatus();
  return home.catalog().Record(additions);
}

}  // namespace likeness
