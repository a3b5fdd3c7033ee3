// File descriptors: owned, written to in full, and folders made durable.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <utility>

#include "base/status.h"

namespace likeness {

// Closes at the end of its life. Whoever writes calls Close and looks at the result, where late errors show.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  ~Descriptor() { Close(); }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int get() const { return fd_; }  // negative when opening failed; errno then says why
  // What close(2) returns; 0 when nothing is open.
  int Close();

 private:
  int fd_;
};

// Every byte, however the system cuts the writes. `action` as in ErrnoStatus.
absl::Status WriteAll(int fd, std::span<const std::byte> bytes, const std::string& action);

// Makes new and renamed entries of a folder durable. Some file systems refuse; what was renamed stands all the same.
void SyncFolder(const std::filesystem::path& folder);

}  // namespace likeness
