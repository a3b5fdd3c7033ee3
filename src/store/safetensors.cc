#include "store/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <set>

#include "base/bytes.h"
#include "store/safetensors_header.h"

namespace likeness {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors files are mapped as they lie");

absl::Status Damaged(const std::string& reason) { return absl::DataLossError("safetensors: " + reason); }

}  // namespace

absl::StatusOr<std::string> WriteSafetensors(std::span<const TensorData> tensors, const SafetensorsMetadata& metadata) {
  std::vector<TensorSpec> specs;
  for (const TensorData& tensor : tensors) specs.push_back(tensor.spec);
  std::string out;
  LIKENESS_ASSIGN_OR_RETURN(const auto writer, SafetensorsWriter::ToString(out, std::move(specs), metadata));
  for (const TensorSpec& spec : writer->order()) {
    const auto tensor = std::ranges::find_if(tensors, [&](const TensorData& t) { return t.spec.name == spec.name; });
    LIKENESS_RETURN_IF_ERROR(writer->Append(spec.name, tensor->bytes));
  }
  LIKENESS_RETURN_IF_ERROR(writer->Seal());
  return out;
}

absl::StatusOr<Safetensors> Safetensors::Open(Blob blob) {
  const std::span<const std::byte> bytes = blob.bytes();
  uint64_t header_bytes = 0;
  if (bytes.size() < sizeof(header_bytes)) return Damaged("the file ends before its header");
  std::memcpy(&header_bytes, bytes.data(), sizeof(header_bytes));
  if (header_bytes > kMaxHeader) return Damaged("the header is larger than 16 MiB");
  if (header_bytes > bytes.size() - sizeof(header_bytes)) return Damaged("the file ends within its header");
  LIKENESS_ASSIGN_OR_RETURN(SafetensorsHeader header, ParseSafetensorsHeader(AsText(bytes.subspan(8, header_bytes))));

  auto file = std::make_shared<File>();
  file->data = bytes.subspan(8 + header_bytes);
  file->metadata = std::move(header.metadata);
  std::ranges::sort(header.entries, {}, [](const auto& e) { return std::pair(e.begin, e.end); });
  uint64_t at = 0;
  for (SafetensorsHeader::Entry& entry : header.entries) {
    const std::string name = "tensor '" + entry.spec.name.substr(0, 100) + "' ";
    if (entry.begin < at) return Damaged(name + "overlaps the one before");
    if (entry.begin > at) return Damaged(name + "leaves a gap before it");
    if (entry.end < entry.begin || entry.end > file->data.size()) return Damaged(name + "reaches beyond the file");
    if (TensorBytes(entry.spec) != entry.end - entry.begin) return Damaged(name + "is not as large as its shape says");
    file->tensors.push_back({std::move(entry.spec), file->data.subspan(entry.begin, entry.end - entry.begin)});
    at = entry.end;
  }
  if (at != file->data.size()) return Damaged("there are bytes after the last tensor");
  file->blob = std::move(blob);
  Safetensors result;
  result.file_ = std::move(file);
  return result;
}

const Safetensors::Tensor* Safetensors::Find(std::string_view name) const {
  const auto found = std::ranges::find_if(tensors(), [&](const Tensor& tensor) { return tensor.spec.name == name; });
  return found == tensors().end() ? nullptr : &*found;
}

absl::StatusOr<std::string> Safetensors::Metadata(std::string_view key) const {
  const auto found = metadata().find(std::string(key));
  if (found == metadata().end()) return Damaged("there is no '" + std::string(key) + "' in the metadata");
  return found->second;
}

absl::StatusOr<std::span<const std::byte>> Safetensors::Checked(std::string_view name, Dtype dtype, size_t size,
                                                                size_t alignment) const {
  const std::string shown = "tensor '" + std::string(name) + "' ";
  const Tensor* tensor = Find(name);
  if (tensor == nullptr) return Damaged(shown + "is missing");
  if (tensor->spec.dtype != dtype) {
    return Damaged(shown + "is of type " + std::string(DtypeName(tensor->spec.dtype)) + ", not " +
                   std::string(DtypeName(dtype)));
  }
  LIKENESS_CHECK(size == DtypeSize(dtype));
  if (reinterpret_cast<uintptr_t>(tensor->bytes.data()) % alignment != 0) return Damaged(shown + "is not aligned");
  return tensor->bytes;
}

absl::Status Safetensors::VerifyChecksum() const {
  LIKENESS_ASSIGN_OR_RETURN(const std::string want, Metadata("checksum"));
  const uint64_t sum = Checksum(file_->data);
  std::array<std::byte, 8> big_endian;
  for (size_t i = 0; i < 8; ++i) big_endian[i] = static_cast<std::byte>(sum >> (56 - 8 * i));
  const std::string have = HexEncode(big_endian);
  if (have != want) return Damaged("the data have the checksum " + have + ", the header says " + want);
  return absl::OkStatus();
}

}  // namespace likeness
