// One sealed segment: all that the index knows of the images of one shard.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "index/deep_column.h"
#include "index/plain_column.h"
#include "types/doc_id.h"
#include "types/feature_key.h"
#include "types/signature.h"

namespace likeness {

// A SegmentWriter makes the file once; after Open it never changes and any number of threads may use it without locks.
// To add, open another segment; to delete, mask DocIds in the query. DocIds follow the order of signatures.
// REQUIRES of every DocId: below doc_count()
class Segment {
 public:
  // Part of the file, as its table of contents names it.
  struct Section {
    std::string name;        // "signatures", "sizes", "deep.codes" ...
    std::string feature;     // FeatureKey as text, or empty
    uint64_t offset = 0;     // bytes from the start of the file
    uint64_t length = 0;     // bytes
    uint64_t checksum = 0;   // XXH3 of the bytes
    uint64_t parameter = 0;  // what it means depends on the name: docs/formats/segment.md
  };

  // `bytes` is the whole file. `owner` keeps it alive as long as the segment (a MappedFile, say); with none, `bytes`
  // must outlive the segment. Reads header, footer and table of contents, not the sections, so that it costs
  // microseconds whatever the size; sections that this version does not know are passed over.
  // Errors: DataLoss (bytes that are no sealed segment), Unimplemented (a later version of the format),
  // InvalidArgument (`bytes` do not start at a multiple of 8).
  static absl::StatusOr<std::shared_ptr<const Segment>> Open(std::span<const std::byte> bytes,
                                                             std::shared_ptr<const void> owner = nullptr);

  // Reads every section. Errors: DataLoss naming the section whose checksum is wrong, or signatures or ends of rows
  // that do not ascend.
  absl::Status Verify() const;
  // One of sections(). Errors: DataLoss.
  absl::Status VerifySection(const Section& section) const;

  size_t doc_count() const { return signatures_.size(); }
  const Signature& signature(DocId doc) const { return signatures_[doc.value()]; }
  std::span<const Signature> signatures() const { return signatures_; }
  // A few steps whatever the size, as signatures are spread evenly.
  std::optional<DocId> Find(const Signature& signature) const;

  struct Size {
    uint32_t width = 0;  // pixels of the upright image
    uint32_t height = 0;
    friend bool operator==(const Size&, const Size&) = default;
  };
  Size size(DocId doc) const { return {sizes_[2 * size_t{doc.value()}], sizes_[2 * size_t{doc.value()} + 1]}; }

  // The keys of the deep features, sorted.
  std::span<const FeatureKey> features() const { return features_; }
  // May be null: the segment does not have that feature. Not yours; lives as long as the segment.
  const DeepColumn* deep(const FeatureKey& key) const;

  // The same for the features that are kept as they are.
  std::span<const FeatureKey> plain_features() const { return plain_features_; }
  const PlainColumn* plain(const FeatureKey& key) const;

  std::span<const std::byte> bytes() const { return bytes_; }
  std::span<const Section> sections() const { return sections_; }
  // The bytes of a section, or nothing where there is none of that name and feature.
  std::optional<std::span<const std::byte>> section(std::string_view name, std::string_view feature = {}) const;

 private:
  Segment() = default;
  absl::Status ReadDeepColumn(const Section& codes);
  absl::Status ReadPlainColumn(const Section& values);
  const Section* FindSection(std::string_view name, std::string_view feature) const;

  std::span<const std::byte> bytes_;
  std::shared_ptr<const void> owner_;
  std::vector<Section> sections_;
  std::span<const Signature> signatures_;
  std::span<const uint32_t> sizes_;  // [doc_count, 2]
  std::vector<FeatureKey> features_;
  std::vector<DeepColumn> columns_;  // beside features_
  std::vector<FeatureKey> plain_features_;
  std::vector<PlainColumn> plain_;  // beside plain_features_
};

// One JSON object about a segment file, for people: version, documents, features and sections, and for each section
// whether its checksum holds. Errors: as Segment::Open.
absl::StatusOr<std::string> InspectSegment(std::span<const std::byte> bytes);

}  // namespace likeness
