// The safetensors format: named tensors, mapped without a copy (https://huggingface.co/docs/safetensors; our profile of
// it is docs/formats/safetensors-shards.md). NumPy, PyTorch and Rust read these files with the library they have.
//
// Numbers are little-endian, tensors row-major. Every file of ours carries in its metadata `checksum`, the XXH3-64 of
// the data area as 16 hexadecimal digits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "object/blob.h"
#include "types/feature_layout.h"

namespace likeness {

size_t DtypeSize(Dtype dtype);            // bytes of one element
std::string_view DtypeName(Dtype dtype);  // as the format writes it: "F16"

struct TensorSpec {
  std::string name;
  Dtype dtype = Dtype::kU8;
  std::vector<uint64_t> shape;  // empty: one element
};

using SafetensorsMetadata = std::map<std::string, std::string>;

// Writes a file front to back without holding it. The tensors lie by falling element size, then by name, so that each
// stands aligned to its element; bytes depend on nothing but specs, metadata and data. One thread at a time.
class SafetensorsWriter {
 public:
  // A new file at `path`, seen by nobody before Seal: until then it is `path` + ".partial" (removed when the writer
  // dies unsealed). Errors: InvalidArgument (a name twice, or "__metadata__"; metadata "checksum"; too large).
  static absl::StatusOr<std::unique_ptr<SafetensorsWriter>> ToFile(const std::filesystem::path& path,
                                                                   std::vector<TensorSpec> specs,
                                                                   const SafetensorsMetadata& metadata);
  // The same into `out`, which must outlive the writer and is whole after Seal.
  static absl::StatusOr<std::unique_ptr<SafetensorsWriter>> ToString(std::string& out, std::vector<TensorSpec> specs,
                                                                     const SafetensorsMetadata& metadata);
  virtual ~SafetensorsWriter() = default;

  // The tensors in the order in which their data must come.
  virtual const std::vector<TensorSpec>& order() const = 0;
  // The next bytes of tensor `name`; tensors in order(), each filled in any number of calls.
  // Errors: InvalidArgument (not its turn, more than it holds), ResourceExhausted, Unavailable.
  virtual absl::Status Append(std::string_view name, std::span<const std::byte> bytes) = 0;
  // Writes the checksum and syncs. Errors: FailedPrecondition when data are missing.
  virtual absl::Status Seal() = 0;
};

// All at once.
struct TensorData {
  TensorSpec spec;
  std::span<const std::byte> bytes;
};
absl::StatusOr<std::string> WriteSafetensors(std::span<const TensorData> tensors, const SafetensorsMetadata& metadata);

// One file, open for reading. Copies are cheap. Any thread.
class Safetensors {
 public:
  struct Tensor {
    TensorSpec spec;
    std::span<const std::byte> bytes;
  };
  static constexpr uint64_t kMaxHeader = 16 << 20;  // bytes
  static constexpr size_t kMaxRank = 8;

  // Reads the header, not the data. Strict, for the bytes may come from anywhere: DataLoss with the reason unless the
  // tensors fill the data area without gap or overlap, each as large as its shape and type say, under distinct names.
  // Unimplemented for an element type that is not in Dtype.
  static absl::StatusOr<Safetensors> Open(Blob blob);

  const std::vector<Tensor>& tensors() const { return file_->tensors; }  // by position
  const Tensor* Find(std::string_view name) const;                       // null when absent
  const SafetensorsMetadata& metadata() const { return file_->metadata; }
  // DataLoss when absent.
  absl::StatusOr<std::string> Metadata(std::string_view key) const;

  // The tensor's elements where they lie. T must be as large as the element. The span lives as long as any copy of
  // this object. Errors: DataLoss when absent, of another type, or not aligned for T (never in files of ours).
  template <typename T>
  absl::StatusOr<std::span<const T>> Elements(std::string_view name, Dtype dtype) const {
    auto bytes = Checked(name, dtype, sizeof(T), alignof(T));
    if (!bytes.ok()) return bytes.status();
    return std::span<const T>(reinterpret_cast<const T*>(bytes->data()), bytes->size() / sizeof(T));
  }

  // DataLoss unless the data have the checksum that the metadata names. Reads everything once.
  absl::Status VerifyChecksum() const;

  uint64_t file_bytes() const { return file_->blob.size(); }

 private:
  struct File {
    Blob blob;
    std::span<const std::byte> data;
    std::vector<Tensor> tensors;
    SafetensorsMetadata metadata;
  };
  absl::StatusOr<std::span<const std::byte>> Checked(std::string_view name, Dtype dtype, size_t size,
                                                     size_t alignment) const;

  std::shared_ptr<const File> file_;
};

}  // namespace likeness
