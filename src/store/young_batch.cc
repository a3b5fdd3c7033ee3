#include "store/young_batch.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"

namespace likeness {
namespace {

// Header: magic, version, number of shards, checksum of the table; then the table of offset, length and
// checksum of each shard, 8 bytes each.
constexpr uint64_t kMagic = 0x3147'4e55'4f59'4b4cULL;  // "LKYOUNG1"
constexpr uint64_t kVersion = 1;
constexpr uint64_t kMostFeatures = 1000;
constexpr size_t kHeader = 32, kEntry = 24, kAlign = 64;

void Append(std::string& out, uint64_t number) {
  char bytes[8];
  std::memcpy(bytes, &number, 8);
  out.append(bytes, 8);
}

uint64_t ReadAt(std::span<const std::byte> bytes, size_t offset) {
  uint64_t number = 0;
  std::memcpy(&number, bytes.data() + offset, 8);
  return number;
}

}  // namespace

const FeatureShard* YoungBatch::Find(const FeatureKey& key) const {
  const auto found = std::ranges::find_if(features, [&](const FeatureShard& one) { return one.info().feature == key; });
  return found == features.end() ? nullptr : &*found;
}

std::vector<Signature> YoungBatch::Signatures() const {
  std::vector<Signature> all;
  for (const FeatureShard& feature : features) {
    all.insert(all.end(), feature.signatures().begin(), feature.signatures().end());
  }
  std::ranges::sort(all);
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

std::string PackYoungBatch(std::span<const std::string> sealed_shards) {
  const auto aligned = [](size_t size) { return (size + kAlign - 1) / kAlign * kAlign; };
  std::string table;
  size_t offset = aligned(kHeader + sealed_shards.size() * kEntry);
  for (const std::string& shard : sealed_shards) {
    Append(table, offset);
    Append(table, shard.size());
    Append(table, Checksum(AsBytes(shard)));
    offset = aligned(offset + shard.size());
  }
  std::string out;
  Append(out, kMagic);
  Append(out, kVersion);
  Append(out, sealed_shards.size());
  Append(out, Checksum(AsBytes(table)));
  out += table;
  for (const std::string& shard : sealed_shards) {
    out.resize(aligned(out.size()));
    out += shard;
  }
  return out;
}

absl::StatusOr<YoungBatch> OpenYoungBatch(const Blob& blob) {
  const std::span<const std::byte> bytes = blob.bytes();
  if (bytes.size() < kHeader || ReadAt(bytes, 0) != kMagic) return absl::DataLossError("this is no young batch");
  if (ReadAt(bytes, 8) != kVersion) {
    return absl::UnimplementedError("this young batch is of version " + std::to_string(ReadAt(bytes, 8)) +
                                    ": use a newer program");
  }
  const uint64_t count = ReadAt(bytes, 16);
  if (count > kMostFeatures || bytes.size() < kHeader + count * kEntry ||
      Checksum(bytes.subspan(kHeader, count * kEntry)) != ReadAt(bytes, 24)) {
    return absl::DataLossError("the table of a young batch is damaged");
  }
  YoungBatch batch;
  for (uint64_t i = 0; i < count; ++i) {
    const size_t entry = kHeader + i * kEntry;
    const uint64_t offset = ReadAt(bytes, entry), size = ReadAt(bytes, entry + 8);
    if (offset % kAlign != 0 || offset > bytes.size() || size > bytes.size() - offset) {
      return absl::DataLossError("a young batch ends before its features do");
    }
    if (Checksum(bytes.subspan(offset, size)) != ReadAt(bytes, entry + 16)) {
      return absl::DataLossError("a feature of a young batch is damaged");
    }
    // The part of the blob, kept alive by the whole.
    const Blob part(std::make_shared<const Blob>(blob), bytes.subspan(offset, size));
    LIKENESS_ASSIGN_OR_RETURN(FeatureShard shard, FeatureShard::Open(part));
    batch.features.push_back(std::move(shard));
  }
  std::ranges::sort(batch.features, {},
                    [](const FeatureShard& one) -> const FeatureKey& { return one.info().feature; });
  return batch;
}

}  // namespace likeness
