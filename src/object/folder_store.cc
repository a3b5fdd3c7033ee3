#include "object/folder_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <system_error>

#include "base/bytes.h"
#include "base/descriptor.h"
#include "base/file.h"

namespace likeness {
namespace {

constexpr char kIncoming[] = ".incoming";
constexpr char kLock[] = ".lock";
constexpr uint64_t kDigestBytes = 1 << 20;  // Up to here the etag is a digest of the content.
constexpr size_t kCopyBytes = 1 << 20;

absl::Status Lock(int fd, int operation, const std::string& action) {
  while (::flock(fd, operation) != 0) {
    if (errno != EINTR) return ErrnoStatus(errno, action);
  }
  return absl::OkStatus();
}

// A file under .incoming, locked as long as its writer lives; what is found there unlocked is a leftover.
class StagedFile {
 public:
  static absl::StatusOr<StagedFile> Create(const std::filesystem::path& root, const std::string& action) {
    static std::atomic<uint64_t> counter{0};
    while (true) {
      const auto now = std::chrono::system_clock::now().time_since_epoch().count();
      StagedFile staged;
      staged.path_ =
          root / kIncoming / (std::to_string(now) + "_" + std::to_string(::getpid()) + "_" + std::to_string(counter++));
      staged.fd_ = Descriptor(::open(staged.path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
      if (staged.fd_.get() < 0) return ErrnoStatus(errno, action);
      LIKENESS_RETURN_IF_ERROR(Lock(staged.fd_.get(), LOCK_EX, action));
      struct stat info;
      if (::fstat(staged.fd_.get(), &info) != 0) return ErrnoStatus(errno, action);
      if (info.st_nlink > 0) return staged;
      // Another process swept the file before it was locked: make another.
    }
  }
  ~StagedFile() {
    if (fd_.get() >= 0) ::unlink(path_.c_str());  // Of no effect once it was moved.
  }
  StagedFile(StagedFile&&) = default;

  int fd() const { return fd_.get(); }
  const std::filesystem::path& path() const { return path_; }
  absl::Status Sync(const std::string& action) const {
    return ::fdatasync(fd_.get()) == 0 ? absl::OkStatus() : ErrnoStatus(errno, action);
  }

 private:
  StagedFile() = default;
  Descriptor fd_;
  std::filesystem::path path_;
};

bool IsFolder(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::is_directory(path, error);
}

absl::Status NoObject(std::string_view key) {
  return absl::NotFoundError("there is no object '" + std::string(key) + "'");
}

// Opens an object for reading: NotFound for what is no regular file.
absl::StatusOr<Descriptor> OpenObject(const std::filesystem::path& path, std::string_view key, struct stat& info) {
  Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return NoObject(key);
    return ErrnoStatus(errno, "cannot read " + path.string());
  }
  if (::fstat(fd.get(), &info) != 0) return ErrnoStatus(errno, "cannot read " + path.string());
  if (!S_ISREG(info.st_mode)) return NoObject(key);
  return fd;
}

absl::Status ReadAll(int fd, uint64_t offset, std::string& out, const std::string& action) {
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t count = ::pread(fd, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (count < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus(errno, action);
    }
    if (count == 0) return absl::UnavailableError(action + ": the file shrank while it was read");
    done += static_cast<size_t>(count);
  }
  return absl::OkStatus();
}

// Walks a folder in the order of its keys: a subfolder sorts as its name followed by '/'.
absl::Status Walk(const std::filesystem::path& folder, const std::string& base, std::string_view prefix,
                  std::string_view start_after, size_t limit, std::vector<ObjectInfo>& out) {
  std::vector<std::string> names;
  std::error_code error;
  std::filesystem::directory_iterator entries(folder, error);
  for (; !error && entries != std::filesystem::directory_iterator(); entries.increment(error)) {
    std::string name = base + entries->path().filename().string();
    std::error_code unused;
    if (entries->is_directory(unused)) name += '/';
    names.push_back(std::move(name));
  }
  if (error == std::errc::no_such_file_or_directory) return absl::OkStatus();
  if (error) return ErrnoStatus(error.value(), "cannot list " + folder.string());
  std::ranges::sort(names);
  for (const std::string& name : names) {
    if (out.size() == limit) return absl::OkStatus();
    if (name.back() == '/') {
      const bool may_match = name.starts_with(prefix) || prefix.starts_with(name);
      const bool all_before = start_after >= name && !start_after.starts_with(name);
      if (!may_match || all_before || name[base.size()] == '.') continue;
      LIKENESS_RETURN_IF_ERROR(Walk(folder / name.substr(base.size()), name, prefix, start_after, limit, out));
    } else if (name.starts_with(prefix) && name > start_after && CheckObjectKey(name).ok()) {
      struct stat info;
      if (::stat((folder / name.substr(base.size())).c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
      out.push_back({name, static_cast<uint64_t>(info.st_size), ""});
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<FolderStore>> FolderStore::Open(const std::filesystem::path& root) {
  std::error_code error;
  std::filesystem::create_directories(root / kIncoming, error);
  if (error) {
    return absl::FailedPreconditionError("cannot use " + root.string() + " as an object store: " + error.message());
  }
  // Absolute, so that LocalFile's paths outlive a change of the working folder.
  std::filesystem::path absolute = std::filesystem::canonical(root, error);
  if (error) return ErrnoStatus(error.value(), "cannot open " + root.string());
  std::unique_ptr<FolderStore> store(new FolderStore(std::move(absolute)));
  const Descriptor lock(::open((store->root_ / kLock).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (lock.get() < 0) return ErrnoStatus(errno, "cannot create " + (store->root_ / kLock).string());
  store->Sweep();
  return store;
}

void FolderStore::Sweep() const {
  std::error_code error;
  std::filesystem::directory_iterator entries(root_ / kIncoming, error);
  for (; !error && entries != std::filesystem::directory_iterator(); entries.increment(error)) {
    const Descriptor fd(::open(entries->path().c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (fd.get() >= 0 && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) ::unlink(entries->path().c_str());
  }
}

absl::StatusOr<std::filesystem::path> FolderStore::PathOf(std::string_view key) const {
  LIKENESS_RETURN_IF_ERROR(CheckObjectKey(key));
  return root_ / key;
}

absl::Status FolderStore::Put(std::string_view key, std::span<const std::byte> bytes, const PutOptions& options) {
  LIKENESS_RETURN_IF_ERROR(CheckPut(key, options));
  const std::filesystem::path path = root_ / key;
  std::error_code unused;
  if (options.if_absent && std::filesystem::is_regular_file(path, unused)) {
    return absl::AlreadyExistsError("the object '" + std::string(key) + "' exists already");
  }
  const std::string action = "cannot write " + path.string();
  LIKENESS_ASSIGN_OR_RETURN(const StagedFile staged, StagedFile::Create(root_, action));
  LIKENESS_RETURN_IF_ERROR(WriteAll(staged.fd(), bytes, action));
  LIKENESS_RETURN_IF_ERROR(staged.Sync(action));
  return Commit(key, staged.path(), options);
}

absl::Status FolderStore::PutFile(std::string_view key, const std::filesystem::path& from, const PutOptions& options) {
  LIKENESS_RETURN_IF_ERROR(CheckPut(key, options));
  const std::filesystem::path path = root_ / key;
  const Descriptor source(::open(from.c_str(), O_RDONLY | O_CLOEXEC));
  if (source.get() < 0) return ErrnoStatus(errno, "cannot read " + from.string());
  struct stat info, there;
  if (::fstat(source.get(), &info) != 0) return ErrnoStatus(errno, "cannot read " + from.string());
  if (!S_ISREG(info.st_mode)) return absl::FailedPreconditionError(from.string() + " is not a regular file");
  if (::stat((root_ / kIncoming).c_str(), &there) != 0) return ErrnoStatus(errno, "cannot write " + path.string());

  if (options.take_file && info.st_dev == there.st_dev) {
    if (::fdatasync(source.get()) != 0) return ErrnoStatus(errno, "cannot write " + from.string());
    return Commit(key, from, options);
  }
  const std::string action = "cannot write " + path.string();
  LIKENESS_ASSIGN_OR_RETURN(const StagedFile staged, StagedFile::Create(root_, action));
  std::string buffer(kCopyBytes, '\0');
  while (true) {
    const ssize_t count = ::read(source.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ErrnoStatus(errno, "cannot read " + from.string());
    if (count == 0) break;
    LIKENESS_RETURN_IF_ERROR(
        WriteAll(staged.fd(), AsBytes(std::string_view(buffer).substr(0, static_cast<size_t>(count))), action));
  }
  LIKENESS_RETURN_IF_ERROR(staged.Sync(action));
  LIKENESS_RETURN_IF_ERROR(Commit(key, staged.path(), options));
  if (options.take_file) ::unlink(from.c_str());
  return absl::OkStatus();
}

// Moves the finished file `from` to its key. The lock keeps the comparison of if_match and the move together: all
// others hold it shared while they move or delete.
absl::Status FolderStore::Commit(std::string_view key, const std::filesystem::path& from, const PutOptions& options) {
  const std::filesystem::path path = root_ / key;
  const std::string action = "cannot write " + path.string();
  const Descriptor lock(::open((root_ / kLock).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (lock.get() < 0) return ErrnoStatus(errno, action);
  LIKENESS_RETURN_IF_ERROR(Lock(lock.get(), options.if_match ? LOCK_EX : LOCK_SH, action));

  if (options.if_match) {
    LIKENESS_ASSIGN_OR_RETURN(const std::optional<ObjectInfo> now, Head(key));
    if (!now || now->etag != *options.if_match) {
      return absl::FailedPreconditionError("the object '" + std::string(key) +
                                           (now ? "' was changed by another" : "' is gone"));
    }
  }
  const std::filesystem::path folder = path.parent_path();
  const bool new_folder = !IsFolder(folder);
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    if (error == std::errc::not_a_directory || error == std::errc::file_exists) {
      return absl::FailedPreconditionError("the key '" + std::string(key) + "' goes on where another object's ends");
    }
    return ErrnoStatus(error.value(), "cannot create " + folder.string());
  }
  if (IsFolder(path)) {
    return absl::FailedPreconditionError("the key '" + std::string(key) + "' ends where other objects' go on");
  }
  if (options.if_absent) {
    if (::link(from.c_str(), path.c_str()) != 0) {
      if (errno == EEXIST) {
        return absl::AlreadyExistsError("the object '" + std::string(key) + "' exists already");
      }
      return ErrnoStatus(errno, action);
    }
    ::unlink(from.c_str());
  } else if (::rename(from.c_str(), path.c_str()) != 0) {
    return ErrnoStatus(errno, action);
  }
  SyncFolder(folder);
  if (new_folder) {
    for (std::filesystem::path up = folder; up != root_;) SyncFolder(up = up.parent_path());
  }
  return absl::OkStatus();
}

absl::StatusOr<Blob> FolderStore::Get(std::string_view key) {
  LIKENESS_ASSIGN_OR_RETURN(const std::filesystem::path path, PathOf(key));
  auto mapped = MappedFile::Open(path);
  if (!mapped.ok()) {
    if (absl::IsNotFound(mapped.status()) || IsFolder(path)) return NoObject(key);
    return mapped.status();
  }
  const std::span<const std::byte> bytes = (*mapped)->bytes();
  return Blob(*std::move(mapped), bytes);
}

absl::StatusOr<std::string> FolderStore::GetRange(std::string_view key, uint64_t offset, uint64_t size) {
  LIKENESS_ASSIGN_OR_RETURN(const std::filesystem::path path, PathOf(key));
  struct stat info;
  LIKENESS_ASSIGN_OR_RETURN(const Descriptor fd, OpenObject(path, key, info));
  const auto have = static_cast<uint64_t>(info.st_size);
  if (offset > have || size > have - offset) {
    return absl::OutOfRangeError("the object '" + std::string(key) + "' has only " + std::to_string(have) + " bytes");
  }
  std::string content(size, '\0');
  LIKENESS_RETURN_IF_ERROR(ReadAll(fd.get(), offset, content, "cannot read " + path.string()));
  return content;
}

absl::StatusOr<std::optional<ObjectInfo>> FolderStore::Head(std::string_view key) {
  LIKENESS_ASSIGN_OR_RETURN(const std::filesystem::path path, PathOf(key));
  struct stat info;
  auto fd = OpenObject(path, key, info);
  if (absl::IsNotFound(fd.status())) return std::nullopt;
  if (!fd.ok()) return fd.status();
  ObjectInfo object{std::string(key), static_cast<uint64_t>(info.st_size), ""};
  if (object.size <= kDigestBytes) {
    std::string content(object.size, '\0');
    LIKENESS_RETURN_IF_ERROR(ReadAll(fd->get(), 0, content, "cannot read " + path.string()));
    std::array<std::byte, 16> digest;
    Md5(AsBytes(content), digest);
    object.etag = HexEncode(digest);
  } else {
    object.etag = std::to_string(info.st_ino) + "-" + std::to_string(info.st_mtim.tv_sec) + "." +
                  std::to_string(info.st_mtim.tv_nsec) + "-" + std::to_string(object.size);
  }
  return object;
}

absl::StatusOr<std::vector<ObjectInfo>> FolderStore::List(std::string_view prefix, std::string_view start_after,
                                                          size_t limit) {
  std::vector<ObjectInfo> objects;
  LIKENESS_RETURN_IF_ERROR(Walk(root_, "", prefix, start_after, limit, objects));
  return objects;
}

absl::Status FolderStore::Delete(std::string_view key) {
  LIKENESS_ASSIGN_OR_RETURN(const std::filesystem::path path, PathOf(key));
  const std::string action = "cannot delete " + path.string();
  const Descriptor lock(::open((root_ / kLock).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (lock.get() < 0) return ErrnoStatus(errno, action);
  LIKENESS_RETURN_IF_ERROR(Lock(lock.get(), LOCK_SH, action));
  if (::unlink(path.c_str()) != 0) {
    const int error_number = errno;
    if (error_number == ENOENT || error_number == ENOTDIR || IsFolder(path)) return absl::OkStatus();
    return ErrnoStatus(error_number, action);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::filesystem::path> FolderStore::LocalFile(std::string_view key) {
  LIKENESS_ASSIGN_OR_RETURN(const std::filesystem::path path, PathOf(key));
  struct stat info;
  LIKENESS_RETURN_IF_ERROR(OpenObject(path, key, info).status());
  return path;
}

}  // namespace likeness
