#include "store/sst_identity.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <span>
#include <string>

#include "base/bytes.h"

namespace likeness {
namespace {

constexpr size_t kFooterBytes = 53;  // checksum kind, 40 bytes of two handles, version, magic
constexpr size_t kTrailerBytes = 5;  // after every block: compression kind, checksum
constexpr uint8_t kXxh3 = 4;
constexpr std::string_view kProperties = "rocksdb.properties";

// Where a block lies, without its trailer.
struct Handle {
  uint64_t offset = 0;
  uint64_t size = 0;
};

std::optional<uint64_t> TakeVarint(std::string_view& text) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && !text.empty(); shift += 7) {
    const auto byte = static_cast<uint8_t>(text.front());
    text.remove_prefix(1);
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}

std::optional<Handle> TakeHandle(std::string_view& text) {
  const auto offset = TakeVarint(text), size = TakeVarint(text);
  if (!offset || !size) return std::nullopt;
  return Handle{*offset, *size};
}

// The block's bytes with its trailer, or nothing when it is not within the file.
std::optional<std::string_view> Block(std::string_view file, const Handle& handle) {
  if (handle.size > file.size() || handle.offset > file.size() - handle.size ||
      file.size() - handle.size - handle.offset < kTrailerBytes) {
    return std::nullopt;
  }
  return file.substr(handle.offset, handle.size + kTrailerBytes);
}

// The value of `name` in the metaindex, whose entries are (shared, rest, value size, rest of key, value), shared = 0.
std::optional<std::string_view> Lookup(std::string_view block, std::string_view name) {
  while (true) {
    const auto shared = TakeVarint(block), rest = TakeVarint(block), value = TakeVarint(block);
    if (!shared || !rest || !value || *shared != 0 || *rest > block.size() || *value > block.size() - *rest) {
      return std::nullopt;
    }
    if (block.substr(0, *rest) == name) return block.substr(*rest, *value);
    block.remove_prefix(*rest + *value);
  }
}

// The properties block with its trailer, as an interval of `file`.
std::optional<Handle> FindProperties(std::string_view file) {
  if (file.size() < kFooterBytes) return std::nullopt;
  std::string_view footer = file.substr(file.size() - kFooterBytes);
  if (static_cast<uint8_t>(footer[0]) != kXxh3) return std::nullopt;
  footer.remove_prefix(1);
  const auto metaindex = TakeHandle(footer);
  if (!metaindex) return std::nullopt;
  const auto block = Block(file, *metaindex);
  if (!block) return std::nullopt;
  auto value = Lookup(*block, kProperties);
  if (!value) return std::nullopt;
  return TakeHandle(*value);
}

uint32_t BlockChecksum(std::string_view block) {
  // RocksDB's XXH3 of a block mixes in the compression kind, which is 0 for a properties block and then of no effect.
  return static_cast<uint32_t>(Checksum(AsBytes(block.substr(0, block.size() - kTrailerBytes))));
}

// `file` is all of the file, writable.
absl::Status Pin(std::span<char> file, std::string_view session) {
  const std::string_view text(file.data(), file.size());
  const auto unexpected = [](const char* what) {
    return absl::InternalError(std::string("an SST file is not built as expected: ") + what);
  };
  const std::optional<Handle> handle = FindProperties(text);
  const std::optional<std::string_view> block = handle ? Block(text, *handle) : std::nullopt;
  if (!block) return unexpected("its properties are not found");
  uint32_t stored = 0;
  std::memcpy(&stored, block->data() + block->size() - sizeof(stored), sizeof(stored));
  if ((*block)[block->size() - kTrailerBytes] != 0 || stored != BlockChecksum(*block)) {
    return unexpected("the checksum of its properties is of another kind");
  }
  const size_t at = block->find(session);
  if (session.size() != 20 || at == std::string_view::npos) return unexpected("its session identity is not found");

  char* const identity = file.data() + handle->offset + at;
  const auto seal = [&] {
    const uint32_t checksum = BlockChecksum(*block);
    std::memcpy(file.data() + handle->offset + handle->size + 1, &checksum, sizeof(checksum));
  };
  // 20 letters 0-9A-Z as RocksDB makes them. The digest covers the file with an identity of zeros; its checksum too.
  std::memset(identity, '0', session.size());
  seal();
  const std::string digest = Sha256Hex(AsBytes(text));
  for (size_t i = 0; i < session.size(); ++i) {
    const char c = digest[i];
    identity[i] = c >= 'a' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  seal();
  return absl::OkStatus();
}

}  // namespace

absl::Status PinSstIdentity(const std::filesystem::path& path, std::string_view session) {
  const std::string action = "cannot write " + path.string();
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, action);
  struct stat info;
  absl::Status status;
  if (::fstat(fd, &info) != 0 || info.st_size == 0) {
    status = absl::UnavailableError(action + ": it is gone or empty");
  } else {
    const auto size = static_cast<size_t>(info.st_size);
    void* data = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED) {
      status = ErrnoStatus(errno, action);
    } else {
      status = Pin({static_cast<char*>(data), size}, session);
      if (::munmap(data, size) != 0 && status.ok()) status = ErrnoStatus(errno, action);
      if (status.ok() && ::fsync(fd) != 0) status = ErrnoStatus(errno, action);
    }
  }
  ::close(fd);
  return status;
}

}  // namespace likeness
