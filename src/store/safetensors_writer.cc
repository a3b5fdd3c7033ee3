#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <set>
#include <utility>

#include "base/bytes.h"
#include "store/safetensors.h"
#include "store/safetensors_header.h"

namespace likeness {
namespace {

constexpr size_t kAlignment = 64;  // of the data area within the file
constexpr size_t kBufferBytes = 1 << 20;
constexpr size_t kChecksumAt = 8 + kHeaderStart.size();

// Where the bytes go.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual absl::Status Append(std::span<const std::byte> bytes) = 0;
  // Overwrites what was appended at `offset`, and makes the whole permanent.
  virtual absl::Status Finish(uint64_t offset, std::string_view bytes) = 0;
};

class StringSink final : public Sink {
 public:
  StringSink(std::string& out, uint64_t size) : out_(out) {
    out_.clear();
    out_.reserve(size);
  }
  absl::Status Append(std::span<const std::byte> bytes) override {
    out_.append(AsText(bytes));
    return absl::OkStatus();
  }
  absl::Status Finish(uint64_t offset, std::string_view bytes) override {
    out_.replace(offset, bytes.size(), bytes);
    return absl::OkStatus();
  }

 private:
  std::string& out_;
};

class FileSink final : public Sink {
 public:
  explicit FileSink(const std::filesystem::path& path)
      : path_(path), partial_(path.string() + ".partial"), action_("cannot write " + path.string()) {}
  ~FileSink() override {
    if (fd_ < 0) return;
    ::close(fd_);
    ::unlink(partial_.c_str());
  }
  absl::Status Open() {
    fd_ = ::open(partial_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    return fd_ < 0 ? ErrnoStatus(errno, action_) : absl::OkStatus();
  }
  absl::Status Append(std::span<const std::byte> bytes) override {
    if (buffer_.size() + bytes.size() > kBufferBytes) LIKENESS_RETURN_IF_ERROR(Flush());
    if (bytes.size() > kBufferBytes) return Write(bytes);
    buffer_.append(AsText(bytes));
    return absl::OkStatus();
  }
  absl::Status Finish(uint64_t offset, std::string_view bytes) override {
    LIKENESS_RETURN_IF_ERROR(Flush());
    if (::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset)) != static_cast<ssize_t>(bytes.size()) ||
        ::fdatasync(fd_) != 0 || ::rename(partial_.c_str(), path_.c_str()) != 0) {
      return ErrnoStatus(errno, action_);
    }
    return ::close(std::exchange(fd_, -1)) == 0 ? absl::OkStatus() : ErrnoStatus(errno, action_);
  }

 private:
  absl::Status Flush() {
    LIKENESS_RETURN_IF_ERROR(Write(AsBytes(buffer_)));
    buffer_.clear();
    return absl::OkStatus();
  }
  absl::Status Write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return ErrnoStatus(errno, action_);
      bytes = bytes.subspan(static_cast<size_t>(written));
    }
    return absl::OkStatus();
  }

  const std::filesystem::path path_, partial_;
  const std::string action_;
  std::string buffer_;
  int fd_ = -1;
};

class StreamWriter final : public SafetensorsWriter {
 public:
  StreamWriter(std::unique_ptr<Sink> sink, std::vector<TensorSpec> order)
      : sink_(std::move(sink)), order_(std::move(order)), state_(XXH3_createState()) {
    XXH3_64bits_reset(state_);
    Advance();
  }
  ~StreamWriter() override { XXH3_freeState(state_); }

  const std::vector<TensorSpec>& order() const override { return order_; }

  absl::Status Append(std::string_view name, std::span<const std::byte> bytes) override {
    if (bytes.empty()) return absl::OkStatus();
    if (at_ == order_.size() || order_[at_].name != name || bytes.size() > left_) {
      return absl::InvalidArgumentError("safetensors: it is not the turn of tensor '" + std::string(name) +
                                        "', or its data are too long");
    }
    XXH3_64bits_update(state_, bytes.data(), bytes.size());
    LIKENESS_RETURN_IF_ERROR(sink_->Append(bytes));
    left_ -= bytes.size();
    if (left_ == 0) {
      ++at_;
      Advance();
    }
    return absl::OkStatus();
  }

  absl::Status Seal() override {
    if (at_ != order_.size()) {
      return absl::FailedPreconditionError("safetensors: data of tensor '" + order_[at_].name + "' are missing");
    }
    char digits[17];
    std::snprintf(digits, sizeof(digits), "%016llx", static_cast<unsigned long long>(XXH3_64bits_digest(state_)));
    return sink_->Finish(kChecksumAt, digits);
  }

 private:
  // To the next tensor that has data, from at_ on.
  void Advance() {
    for (; at_ < order_.size(); ++at_) {
      left_ = *TensorBytes(order_[at_]);
      if (left_ > 0) return;
    }
  }

  const std::unique_ptr<Sink> sink_;
  const std::vector<TensorSpec> order_;
  XXH3_state_t* const state_;
  size_t at_ = 0;      // in order_
  uint64_t left_ = 0;  // bytes that tensor at_ still wants
};

// The header with its size before it and padding after it, and the specs in their order.
struct Layout {
  std::string head;
  std::vector<TensorSpec> order;
  uint64_t data_bytes = 0;
};

absl::StatusOr<Layout> LayOut(std::vector<TensorSpec> specs, const SafetensorsMetadata& metadata) {
  const auto refuse = [](const std::string& reason) { return absl::InvalidArgumentError("safetensors: " + reason); };
  if (metadata.contains("checksum")) return refuse("the checksum is the writer's to set");
  std::ranges::sort(specs, [](const TensorSpec& a, const TensorSpec& b) {
    return std::pair(DtypeSize(b.dtype), std::string_view(a.name)) <
           std::pair(DtypeSize(a.dtype), std::string_view(b.name));
  });
  Layout layout;
  SafetensorsHeader header{{}, metadata};
  std::set<std::string_view> names{"__metadata__"};
  for (const TensorSpec& spec : specs) {
    const std::optional<uint64_t> bytes = TensorBytes(spec);
    uint64_t end = 0;
    if (!names.insert(spec.name).second) return refuse("the name '" + spec.name + "' is taken");
    if (!bytes || __builtin_add_overflow(layout.data_bytes, *bytes, &end) || end > INT64_MAX ||
        spec.shape.size() > Safetensors::kMaxRank) {
      return refuse("tensor '" + spec.name + "' is too large");
    }
    header.entries.push_back({spec, layout.data_bytes, end});
    layout.data_bytes = end;
  }
  std::string text = FormatSafetensorsHeader(header);
  text.append((kAlignment - (text.size() + 8) % kAlignment) % kAlignment, ' ');
  if (text.size() > Safetensors::kMaxHeader) return refuse("the header is larger than 16 MiB");
  const uint64_t size = text.size();
  layout.head.append(reinterpret_cast<const char*>(&size), sizeof(size)).append(text);
  layout.order = std::move(specs);
  return layout;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SafetensorsWriter>> SafetensorsWriter::ToFile(const std::filesystem::path& path,
                                                                             std::vector<TensorSpec> specs,
                                                                             const SafetensorsMetadata& metadata) {
  LIKENESS_ASSIGN_OR_RETURN(Layout layout, LayOut(std::move(specs), metadata));
  auto sink = std::make_unique<FileSink>(path);
  LIKENESS_RETURN_IF_ERROR(sink->Open());
  LIKENESS_RETURN_IF_ERROR(sink->Append(AsBytes(layout.head)));
  return std::make_unique<StreamWriter>(std::move(sink), std::move(layout.order));
}

absl::StatusOr<std::unique_ptr<SafetensorsWriter>> SafetensorsWriter::ToString(std::string& out,
                                                                               std::vector<TensorSpec> specs,
                                                                               const SafetensorsMetadata& metadata) {
  LIKENESS_ASSIGN_OR_RETURN(Layout layout, LayOut(std::move(specs), metadata));
  auto sink = std::make_unique<StringSink>(out, layout.head.size() + layout.data_bytes);
  LIKENESS_RETURN_IF_ERROR(sink->Append(AsBytes(layout.head)));
  return std::make_unique<StreamWriter>(std::move(sink), std::move(layout.order));
}

}  // namespace likeness
