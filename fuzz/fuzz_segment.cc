// The segment reader. Checksums would stop every mutation at the door, so each input is opened twice: as it is, and
// with its magic numbers, lengths and checksums made right, which lets the fuzzer lie in all that is behind them.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "index/nearest.h"
#include "index/segment.h"
#include "index/segment_format.h"

namespace likeness {
namespace {

// Uses every part of the segment, as far as it goes.
void Use(std::span<const std::byte> file) {
  const auto opened = Segment::Open(file);
  (void)InspectSegment(file);
  if (!opened.ok()) return;
  const Segment& segment = **opened;
  (void)segment.Verify();
  uint64_t sum = 0;
  for (uint32_t i = 0; i < segment.doc_count(); ++i) {
    const DocId doc(i);
    const auto found = segment.Find(segment.signature(doc));
    if (found && segment.signature(*found) != segment.signature(doc)) std::abort();
    sum += segment.size(doc).width + segment.size(doc).height;
  }
  (void)segment.Find(Signature{});
  for (const FeatureKey& key : segment.features()) {
    const DeepColumn& column = *segment.deep(key);
    for (uint32_t i = 0; i < segment.doc_count(); ++i) {
      sum += column.has(DocId(i)) ? 1 : 0;
      for (const int8_t value : column.vector(DocId(i))) sum += static_cast<uint8_t>(value);
    }
    SearchStats stats;
    const std::vector<uint64_t> query(column.shape.words(), sum);
    if (!NearestCodes(column, query, {.k = 10}, stats).ok() || !stats.complete()) std::abort();
  }
}

template <typename T>
uint64_t SealOf(const T& object) {
  return Checksum(std::as_bytes(std::span(&object, 1)).first(offsetof(T, checksum)));
}

void Repair(std::span<std::byte> file) {
  SegmentHeader header;
  SegmentFooter footer;
  std::byte* const footer_at = file.data() + file.size() - sizeof(footer);
  std::memcpy(&header, file.data(), sizeof(header));
  std::memcpy(&footer, footer_at, sizeof(footer));
  header.magic = kSegmentMagic;
  header.version = kSegmentVersion;
  header.checksum = SealOf(header);
  std::memcpy(file.data(), &header, sizeof(header));
  const uint64_t toc_end = file.size() - sizeof(footer);
  if (footer.toc_offset < sizeof(header) || footer.toc_offset > toc_end) footer.toc_offset = toc_end / 2;
  footer.toc_length = toc_end - footer.toc_offset;
  footer.toc_checksum = Checksum(file.subspan(footer.toc_offset, footer.toc_length));
  footer.file_length = file.size();
  footer.version = kSegmentVersion;
  footer.magic = kSegmentFooterMagic;
  footer.checksum = SealOf(footer);
  std::memcpy(footer_at, &footer, sizeof(footer));
}

}  // namespace
}  // namespace likeness

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace likeness;
  // A block of its own of the exact size, so that a read one beyond the end is seen; new aligns it.
  const std::unique_ptr<std::byte[]> copy(new std::byte[size]);
  if (size > 0) std::memcpy(copy.get(), data, size);
  const std::span<std::byte> file(copy.get(), size);
  Use(file);
  if (size < sizeof(SegmentHeader) + sizeof(SegmentFooter)) return 0;
  Repair(file);
  Use(file);
  return 0;
}
