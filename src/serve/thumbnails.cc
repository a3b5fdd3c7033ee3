#include "serve/thumbnails.h"

#include <algorithm>
#include <vector>

#include "base/file.h"
#include "base/log.h"

namespace likeness {
namespace {

constexpr uint64_t kMaxFile = 8u << 20;  // a thumbnail of 1024 pixels stays far below
constexpr uint64_t kOverhead = 256;      // of an entry in memory, roughly
constexpr uint64_t kTrimEvery = 256;

// A file that was cut short, by a full disk say, is not given to a browser that would keep it for a year.
bool IsWholeJpeg(std::string_view bytes) {
  return bytes.size() > 4 && bytes.starts_with("\xFF\xD8") && bytes.ends_with("\xFF\xD9");
}

}  // namespace

uint32_t Thumbnails::Side(uint32_t asked) {
  uint32_t side = kMinSide;
  while (side < asked && side < kMaxSide) side *= 2;
  return side;
}

std::filesystem::path Thumbnails::PathOf(const Key& key) const {
  const std::string hex = key.first.Hex();
  return options_.folder / hex.substr(0, 2) / (hex + "_" + std::to_string(key.second) + ".jpg");
}

Thumbnails::Jpeg Thumbnails::Find(const Key& key) {
  const auto found = places_.find(key);
  if (found == places_.end()) return nullptr;
  kept_.splice(kept_.begin(), kept_, found->second);
  return found->second->second;
}

void Thumbnails::Keep(const Key& key, const Jpeg& jpeg) {
  if (places_.contains(key) || jpeg->size() + kOverhead > options_.memory_bytes) return;
  kept_.emplace_front(key, jpeg);
  places_[key] = kept_.begin();
  kept_bytes_ += jpeg->size() + kOverhead;
  while (kept_bytes_ > options_.memory_bytes) {
    kept_bytes_ -= kept_.back().second->size() + kOverhead;
    places_.erase(kept_.back().first);
    kept_.pop_back();
  }
}

absl::StatusOr<Thumbnails::Jpeg> Thumbnails::Get(const Signature& signature, uint32_t side, Deadline deadline,
                                                 const Make& make) {
  const Key key(signature, side);
  std::shared_ptr<Flight> flight;
  {
    std::unique_lock lock(mutex_);
    if (Jpeg jpeg = Find(key)) {
      metrics_.Thumbnail(ThumbnailFrom::kMemory);
      return jpeg;
    }
    if (const auto found = flights_.find(key); found != flights_.end()) {
      flight = found->second;
      if (waiting_ >= options_.waiting) {
        metrics_.Refused("thumbnails");
        return absl::UnavailableError("The server has as many thumbnails to make as it can; ask again in 1 s.");
      }
      ++waiting_;
      // A wait until the end of time overflows in some libraries; an hour is for ever here.
      const auto until = std::min(deadline.when(), std::chrono::steady_clock::now() + std::chrono::hours(1));
      const bool landed = landed_.wait_until(lock, until, [&] { return flight->result.has_value(); });
      --waiting_;
      if (!landed) return absl::DeadlineExceededError("The thumbnail took too long; ask again later.");
      return *flight->result;
    }
    flight = std::make_shared<Flight>();
    flights_[key] = flight;
  }
  absl::StatusOr<Jpeg> result = Load(key, make);
  {
    std::lock_guard lock(mutex_);
    if (result.ok()) Keep(key, *result);
    flight->result = result;
    flights_.erase(key);
  }
  landed_.notify_all();
  return result;
}

void Thumbnails::Forget(const Signature& signature) {
  for (uint32_t side = kMinSide; side <= kMaxSide; side *= 2) {
    const Key key(signature, side);
    {
      const std::lock_guard lock(mutex_);
      if (const auto found = places_.find(key); found != places_.end()) {
        kept_bytes_ -= found->second->second->size() + kOverhead;
        kept_.erase(found->second);
        places_.erase(found);
      }
    }
    std::error_code error;
    if (!options_.folder.empty()) std::filesystem::remove(PathOf(key), error);
  }
}

absl::StatusOr<Thumbnails::Jpeg> Thumbnails::Load(const Key& key, const Make& make) {
  if (!options_.folder.empty()) {
    absl::StatusOr<std::string> kept = ReadFile(PathOf(key), kMaxFile);
    if (kept.ok() && IsWholeJpeg(*kept)) {
      metrics_.Thumbnail(ThumbnailFrom::kFolder);
      return std::make_shared<const std::string>(*std::move(kept));
    }
  }
  LIKENESS_ASSIGN_OR_RETURN(std::string made, make());
  metrics_.Thumbnail(ThumbnailFrom::kMade);
  if (!options_.folder.empty()) {
    if (absl::Status written = WriteFileAtomic(PathOf(key), AsBytes(made)); !written.ok()) {
      Log(LogLevel::kWarning, "thumbnail_not_kept", {{"reason", MessageOf(written)}});
    } else {
      TrimFolder();
    }
  }
  return std::make_shared<const std::string>(std::move(made));
}

void Thumbnails::TrimFolder() {
  std::lock_guard lock(folder_mutex_);
  if (writes_++ % kTrimEvery != 0) return;
  struct Kept {
    std::filesystem::file_time_type time;
    uint64_t bytes;
    std::filesystem::path path;
  };
  // Files come and go meanwhile, and other servers may share the folder: every error means that one is not there.
  std::vector<Kept> files;
  uint64_t total = 0;
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator at(options_.folder, error), end; !error && at != end;
       at.increment(error)) {
    std::error_code gone;
    if (!at->is_regular_file(gone) || gone) continue;
    Kept file{at->last_write_time(gone), at->file_size(gone), at->path()};
    if (gone) continue;
    total += file.bytes;
    files.push_back(std::move(file));
  }
  if (total <= options_.folder_bytes) return;
  std::sort(files.begin(), files.end(), [](const Kept& a, const Kept& b) { return a.time < b.time; });
  const uint64_t wanted = options_.folder_bytes / 10 * 9;
  for (const Kept& file : files) {
    if (total <= wanted) break;
    if (std::filesystem::remove(file.path, error)) total -= file.bytes;
  }
}

}  // namespace likeness
