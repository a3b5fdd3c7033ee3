#include "object/file_cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <vector>

#include "base/log.h"

namespace likeness {
namespace {

constexpr char kIncoming[] = "incoming";
constexpr char kFiles[] = "files";

// Whether the open file still has a name: it may have been evicted between open and lock.
bool IsNamed(int fd, struct stat& info) { return ::fstat(fd, &info) == 0 && info.st_nlink > 0; }

}  // namespace

FileCache::Staged::~Staged() {
  if (fd_.get() >= 0 && !path_.empty()) ::unlink(path_.c_str());
}

absl::StatusOr<std::unique_ptr<FileCache>> FileCache::Open(const std::filesystem::path& folder, uint64_t bytes) {
  std::error_code error;
  std::filesystem::create_directories(folder / kIncoming, error);
  if (!error) std::filesystem::create_directories(folder / kFiles, error);
  std::filesystem::path absolute;
  if (!error) absolute = std::filesystem::canonical(folder, error);
  if (error) {
    return absl::FailedPreconditionError("cannot use " + folder.string() + " as the cache of objects (" +
                                         error.message() + "): name a folder that can be written to");
  }
  std::filesystem::directory_iterator entries(absolute / kIncoming, error);
  for (; !error && entries != std::filesystem::directory_iterator(); entries.increment(error)) {
    const Descriptor fd(::open(entries->path().c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (fd.get() >= 0 && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) ::unlink(entries->path().c_str());
  }
  std::unique_ptr<FileCache> cache(new FileCache(std::move(absolute), bytes));
  cache->MakeRoom();
  return cache;
}

std::optional<std::filesystem::path> FileCache::Use(const std::string& name) {
  const std::filesystem::path path = folder_ / kFiles / name;
  const std::lock_guard lock(mutex_);
  if (!held_.contains(name)) {
    Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    struct stat info;
    if (fd.get() < 0 || ::flock(fd.get(), LOCK_SH | LOCK_NB) != 0 || !IsNamed(fd.get(), info)) return std::nullopt;
    ::futimens(fd.get(), nullptr);  // What was used last goes last.
    held_.emplace(name, std::move(fd));
  }
  return path;
}

absl::StatusOr<FileCache::Staged> FileCache::Stage() {
  static std::atomic<uint64_t> counter{0};
  while (true) {
    const auto now = std::chrono::system_clock::now().time_since_epoch().count();
    Staged staged;
    staged.path_ = folder_ / kIncoming /
                   (std::to_string(now) + "_" + std::to_string(::getpid()) + "_" + std::to_string(counter++));
    const std::string action = "cannot write " + staged.path_.string();
    staged.fd_ = Descriptor(::open(staged.path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    struct stat info;
    if (staged.fd_.get() < 0 || ::flock(staged.fd_.get(), LOCK_SH) != 0) return ErrnoStatus(errno, action);
    if (IsNamed(staged.fd_.get(), info)) return staged;
    // Another process swept the file before it was locked: make another.
  }
}

absl::StatusOr<std::filesystem::path> FileCache::Keep(Staged staged, const std::string& name) {
  const std::filesystem::path path = folder_ / kFiles / name;
  if (::rename(staged.path_.c_str(), path.c_str()) != 0) {
    return ErrnoStatus(errno, "cannot write " + path.string());
  }
  {
    const std::lock_guard lock(mutex_);
    staged.path_.clear();
    held_.insert_or_assign(name, std::move(staged.fd_));
  }
  MakeRoom();
  return path;
}

void FileCache::Forget(const std::string& name) {
  const std::lock_guard lock(mutex_);
  held_.erase(name);
}

void FileCache::MakeRoom() {
  struct Entry {
    std::filesystem::path path;
    struct timespec used;
    uint64_t size;
  };
  std::vector<Entry> entries;
  uint64_t total = 0;
  std::error_code error;
  std::filesystem::directory_iterator listing(folder_ / kFiles, error);
  for (; !error && listing != std::filesystem::directory_iterator(); listing.increment(error)) {
    struct stat info;
    if (::lstat(listing->path().c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    entries.push_back({listing->path(), info.st_mtim, static_cast<uint64_t>(info.st_size)});
    total += entries.back().size;
  }
  over_bound_ = false;
  if (total <= bytes_) return;
  std::ranges::sort(entries, [](const Entry& a, const Entry& b) {
    return std::pair(a.used.tv_sec, a.used.tv_nsec) < std::pair(b.used.tv_sec, b.used.tv_nsec);
  });
  for (const Entry& entry : entries) {
    const Descriptor fd(::open(entry.path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (fd.get() < 0 || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) continue;  // In use, here or elsewhere.
    if (::unlink(entry.path.c_str()) == 0) total -= entry.size;
    if (total <= bytes_) return;
  }
  over_bound_ = true;
  Log(LogLevel::kWarning, "object_cache_over_bound",
      {{"folder", folder_.string()}, {"bytes", std::to_string(total)}, {"bound", std::to_string(bytes_)}});
}

}  // namespace likeness
