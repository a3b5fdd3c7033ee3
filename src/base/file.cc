#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <system_error>

#include "base/descriptor.h"

namespace likeness {
namespace {

absl::StatusOr<std::filesystem::path> WriteTemporary(const std::filesystem::path& path,
                                                     std::span<const std::byte> bytes) {
  static std::atomic<uint64_t> counter{0};
  const std::string action = "cannot write " + path.string();
  std::error_code error;
  if (path.has_parent_path()) {
    std::filesystem::create_directories(path.parent_path(), error);
    if (error) return ErrnoStatus(error.value(), "cannot create " + path.parent_path().string());
  }
  std::filesystem::path temporary = path;
  temporary += ".tmp" + std::to_string(::getpid()) + "_" + std::to_string(counter++);
  Descriptor fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (fd.get() < 0) return ErrnoStatus(errno, action);
  absl::Status status = WriteAll(fd.get(), bytes, action);
  if (status.ok() && ::fdatasync(fd.get()) != 0) status = ErrnoStatus(errno, action);
  if (fd.Close() != 0 && status.ok()) status = ErrnoStatus(errno, action);
  if (!status.ok()) {
    ::unlink(temporary.c_str());
    return status;
  }
  return temporary;
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::filesystem::path& path, uint64_t limit) {
  const std::string action = "cannot read " + path.string();
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return ErrnoStatus(errno, action);
  struct stat info;
  if (::fstat(fd.get(), &info) != 0) return ErrnoStatus(errno, action);
  if (!S_ISREG(info.st_mode)) return absl::FailedPreconditionError(action + ": not a regular file");
  if (static_cast<uint64_t>(info.st_size) > limit) {
    return absl::OutOfRangeError(action + ": " + std::to_string(info.st_size) + " bytes, the limit is " +
                                 std::to_string(limit));
  }
  std::string content(static_cast<size_t>(info.st_size), '\0');
  size_t done = 0;
  while (done < content.size()) {
    const ssize_t count = ::read(fd.get(), content.data() + done, content.size() - done);
    if (count < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus(errno, action);
    }
    if (count == 0) break;  // The file shrank while it was read: what is there is what it is.
    done += static_cast<size_t>(count);
  }
  content.resize(done);
  return content;
}

absl::Status WriteFileAtomic(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  LIKENESS_ASSIGN_OR_RETURN(const std::filesystem::path temporary, WriteTemporary(path, bytes));
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    const int error_number = errno;
    ::unlink(temporary.c_str());
    return ErrnoStatus(error_number, "cannot write " + path.string());
  }
  SyncFolder(path.parent_path());
  return absl::OkStatus();
}

absl::Status WriteFileIfAbsent(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  LIKENESS_ASSIGN_OR_RETURN(const std::filesystem::path temporary, WriteTemporary(path, bytes));
  const int result = ::link(temporary.c_str(), path.c_str());
  const int error_number = errno;
  ::unlink(temporary.c_str());
  if (result != 0) {
    if (error_number == EEXIST) return absl::AlreadyExistsError(path.string() + " exists already");
    return ErrnoStatus(error_number, "cannot write " + path.string());
  }
  SyncFolder(path.parent_path());
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const MappedFile>> MappedFile::Open(const std::filesystem::path& path) {
  const std::string action = "cannot map " + path.string();
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return ErrnoStatus(errno, action);
  struct stat info;
  if (::fstat(fd.get(), &info) != 0) return ErrnoStatus(errno, action);
  if (!S_ISREG(info.st_mode)) return absl::FailedPreconditionError(action + ": not a regular file");
  const auto size = static_cast<size_t>(info.st_size);
  if (size == 0) return std::shared_ptr<const MappedFile>(new MappedFile(nullptr, 0));
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
  if (data == MAP_FAILED) return ErrnoStatus(errno, action);
  return std::shared_ptr<const MappedFile>(new MappedFile(static_cast<const std::byte*>(data), size));
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

}  // namespace likeness
