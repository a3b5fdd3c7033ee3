#include "index/segment.h"

#include <algorithm>
#include <cstring>
#include <tuple>
#include <utility>

#include "base/bytes.h"
#include "index/segment_format.h"

namespace likeness {
namespace {

absl::Status Damaged(const std::string& what) { return absl::DataLossError("not a sealed segment: " + what); }

// A structure at `offset`, which the caller has checked to lie within `bytes`.
template <typename T>
T ReadAt(std::span<const std::byte> bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(value));
  return value;
}

std::span<const std::byte> BytesBefore(const auto& object, size_t end) {
  return std::as_bytes(std::span(&object, 1)).first(end);
}

// The values of a section that must hold exactly `count` of them. The start of the file is aligned for every T, and so
// is every section.
template <typename T>
absl::StatusOr<std::span<const T>> ValuesOf(std::span<const std::byte> bytes, const Segment::Section& section,
                                            uint64_t count) {
  if (section.length / sizeof(T) != count || section.length % sizeof(T) != 0) {
    return Damaged("section " + section.name + " has " + std::to_string(section.length) + " bytes, not " +
                   std::to_string(count) + " values of " + std::to_string(sizeof(T)));
  }
  return std::span<const T>(reinterpret_cast<const T*>(bytes.data() + section.offset), static_cast<size_t>(count));
}

absl::StatusOr<std::vector<Segment::Section>> ReadTableOfContents(std::span<const std::byte> bytes,
                                                                  const SegmentFooter& footer) {
  if (footer.toc_offset < sizeof(SegmentHeader) || footer.toc_offset > bytes.size() - sizeof(footer) ||
      footer.toc_length != bytes.size() - sizeof(footer) - footer.toc_offset) {
    return Damaged("the table of contents is not where the footer says");
  }
  std::span<const std::byte> toc = bytes.subspan(footer.toc_offset, footer.toc_length);
  if (Checksum(toc) != footer.toc_checksum) return Damaged("the checksum of the table of contents is wrong");
  if (footer.sections > kMaxSegmentSections) return Damaged("the table of contents has too many sections");
  std::vector<Segment::Section> sections;
  while (!toc.empty()) {
    if (toc.size() < sizeof(SegmentEntry)) return Damaged("the table of contents is cut off");
    const auto entry = ReadAt<SegmentEntry>(toc, 0);
    toc = toc.subspan(sizeof(entry));
    if (toc.size() < size_t{entry.name_length} + entry.feature_length) {
      return Damaged("the table of contents is cut off");
    }
    Segment::Section section{.name = std::string(AsText(toc.first(entry.name_length))),
                             .feature = std::string(AsText(toc.subspan(entry.name_length, entry.feature_length))),
                             .offset = entry.offset,
                             .length = entry.length,
                             .checksum = entry.checksum,
                             .parameter = entry.parameter};
    toc = toc.subspan(size_t{entry.name_length} + entry.feature_length);
    if (section.offset % kSegmentAlignment != 0 || section.offset > footer.toc_offset ||
        section.length > footer.toc_offset - section.offset) {
      return Damaged("section " + section.name + " is not within the file");
    }
    sections.push_back(std::move(section));
  }
  if (sections.size() != footer.sections) return Damaged("the table of contents has a wrong number of sections");
  const auto by_name = [](const Segment::Section& a, const Segment::Section& b) {
    return std::tie(a.name, a.feature) < std::tie(b.name, b.feature);
  };
  std::sort(sections.begin(), sections.end(), by_name);
  for (size_t i = 1; i < sections.size(); ++i) {
    if (!by_name(sections[i - 1], sections[i])) return Damaged("there are two sections " + sections[i].name);
  }
  return sections;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Segment>> Segment::Open(std::span<const std::byte> bytes,
                                                             std::shared_ptr<const void> owner) {
  if (reinterpret_cast<uintptr_t>(bytes.data()) % alignof(uint64_t) != 0) {
    return absl::InvalidArgumentError("a segment must start at an address that is a multiple of 8");
  }
  if (bytes.size() < sizeof(SegmentHeader) + sizeof(SegmentFooter)) {
    return Damaged("only " + std::to_string(bytes.size()) + " bytes");
  }
  const auto header = ReadAt<SegmentHeader>(bytes, 0);
  if (header.magic != kSegmentMagic) return Damaged("the first bytes are of something else");
  if (header.version > kSegmentVersion) {
    return absl::UnimplementedError("the segment has format version " + std::to_string(header.version) +
                                    ", this program reads up to " + std::to_string(kSegmentVersion));
  }
  if (header.checksum != Checksum(BytesBefore(header, offsetof(SegmentHeader, checksum)))) {
    return Damaged("the checksum of the header is wrong");
  }
  const auto footer = ReadAt<SegmentFooter>(bytes, bytes.size() - sizeof(SegmentFooter));
  if (footer.magic != kSegmentFooterMagic) return Damaged("it has no footer: it was cut off or never finished");
  if (footer.checksum != Checksum(BytesBefore(footer, offsetof(SegmentFooter, checksum))) ||
      footer.file_length != bytes.size() || footer.version != header.version) {
    return Damaged("the footer is wrong");
  }
  // A document needs at least its signature, which also keeps the products below far from overflow.
  if (header.version == 0 || header.documents > UINT32_MAX || header.documents > bytes.size() / sizeof(Signature)) {
    return Damaged("the header is wrong");
  }

  std::shared_ptr<Segment> segment(new Segment);
  segment->bytes_ = bytes;
  segment->owner_ = std::move(owner);
  LIKENESS_ASSIGN_OR_RETURN(segment->sections_, ReadTableOfContents(bytes, footer));
  const Section* const signatures = segment->FindSection(kSignaturesSection, {});
  const Section* const sizes = segment->FindSection(kSizesSection, {});
  if (signatures == nullptr || sizes == nullptr) return Damaged("it lacks the section signatures or sizes");
  LIKENESS_ASSIGN_OR_RETURN(segment->signatures_, ValuesOf<Signature>(bytes, *signatures, header.documents));
  LIKENESS_ASSIGN_OR_RETURN(segment->sizes_, ValuesOf<uint32_t>(bytes, *sizes, 2 * header.documents));
  for (const Section& section : segment->sections_) {
    if (section.name == kDeepCodesSection) LIKENESS_RETURN_IF_ERROR(segment->ReadDeepColumn(section));
    if (section.name == kPlainValuesSection) LIKENESS_RETURN_IF_ERROR(segment->ReadPlainColumn(section));
  }
  return segment;
}

absl::Status Segment::ReadDeepColumn(const Section& codes) {
  const std::optional<FeatureKey> key = FeatureKey::Parse(codes.feature);
  if (!key) return Damaged("section " + codes.name + " has no feature");
  const Section* const vectors = FindSection(kDeepVectorsSection, codes.feature);
  const Section* const norms = FindSection(kDeepNormsSection, codes.feature);
  if (vectors == nullptr || norms == nullptr) return Damaged("feature " + codes.feature + " is not complete");
  if (codes.parameter < 1 || codes.parameter > kMaxCodeBits || vectors->parameter < 1 ||
      vectors->parameter > kMaxVectorDimension) {
    return Damaged("feature " + codes.feature + " has an impossible length");
  }
  const uint64_t documents = signatures_.size();
  DeepColumn column;
  column.shape = {static_cast<uint32_t>(codes.parameter), static_cast<uint32_t>(vectors->parameter)};
  column.doc_count = signatures_.size();
  LIKENESS_ASSIGN_OR_RETURN(column.codes, ValuesOf<uint64_t>(bytes_, codes, documents * column.shape.words()));
  LIKENESS_ASSIGN_OR_RETURN(column.vectors, ValuesOf<int8_t>(bytes_, *vectors, documents * column.shape.dimension));
  LIKENESS_ASSIGN_OR_RETURN(column.norms, ValuesOf<float>(bytes_, *norms, documents));
  if (const Section* const present = FindSection(kDeepPresentSection, codes.feature); present != nullptr) {
    LIKENESS_ASSIGN_OR_RETURN(column.present, ValuesOf<uint64_t>(bytes_, *present, (documents + 63) / 64));
  }
  if (const Section* const graph = FindSection(kDeepGraphSection, codes.feature); graph != nullptr) {
    auto view = GraphView::Read(bytes_.subspan(graph->offset, graph->length), column.doc_count, column.shape.words());
    if (view.ok()) {
      column.graph = *view;
    } else if (!absl::IsUnimplemented(view.status())) {  // a graph of a later kind: scanning does without
      return Damaged(MessageOf(view.status()));
    }
  }
  // Sections are sorted by text and keys by type, then version, which can differ ("a-b/1" and "a/1").
  const auto at = std::lower_bound(features_.begin(), features_.end(), *key) - features_.begin();
  features_.insert(features_.begin() + at, *key);
  columns_.insert(columns_.begin() + at, column);
  return absl::OkStatus();
}

absl::Status Segment::ReadPlainColumn(const Section& values) {
  const std::optional<FeatureKey> key = FeatureKey::Parse(values.feature);
  if (!key) return Damaged("section " + values.name + " has no feature");
  if (values.parameter < 1 || values.parameter > kMaxPlainRowBytes || values.length % values.parameter != 0) {
    return Damaged("feature " + values.feature + " has rows of an impossible length");
  }
  const uint64_t documents = signatures_.size();
  PlainColumn column;
  column.shape.row_bytes = static_cast<uint32_t>(values.parameter);
  column.doc_count = signatures_.size();
  column.values = bytes_.subspan(values.offset, values.length);
  if (const Section* const ends = FindSection(kPlainEndsSection, values.feature); ends != nullptr) {
    column.shape.ragged = true;
    LIKENESS_ASSIGN_OR_RETURN(column.ends, ValuesOf<uint64_t>(bytes_, *ends, documents));
  } else if (values.length != documents * values.parameter) {
    return Damaged("feature " + values.feature + " does not have a row for each document");
  }
  if (const Section* const present = FindSection(kPlainPresentSection, values.feature); present != nullptr) {
    LIKENESS_ASSIGN_OR_RETURN(column.present, ValuesOf<uint64_t>(bytes_, *present, (documents + 63) / 64));
  }
  const auto at = std::ranges::lower_bound(plain_features_, *key) - plain_features_.begin();
  plain_features_.insert(plain_features_.begin() + at, *key);
  plain_.insert(plain_.begin() + at, column);
  return absl::OkStatus();
}

absl::Status Segment::VerifySection(const Section& section) const {
  if (Checksum(bytes_.subspan(section.offset, section.length)) == section.checksum) return absl::OkStatus();
  return absl::DataLossError("the checksum of section " + section.name +
                             (section.feature.empty() ? "" : " of " + section.feature) + " is wrong");
}

absl::Status Segment::Verify() const {
  for (const Section& section : sections_) LIKENESS_RETURN_IF_ERROR(VerifySection(section));
  for (size_t i = 1; i < signatures_.size(); ++i) {
    if (signatures_[i] <= signatures_[i - 1]) {
      return absl::DataLossError("section signatures does not ascend at document " + std::to_string(i));
    }
  }
  for (const DeepColumn& column : columns_) LIKENESS_RETURN_IF_ERROR(column.graph.Check());
  for (size_t i = 0; i < plain_.size(); ++i) {
    const std::span<const uint64_t> ends = plain_[i].ends;
    const uint64_t rows = plain_[i].values.size() / plain_[i].shape.row_bytes;
    if (std::ranges::is_sorted(ends) && (ends.empty() || ends.back() == rows)) continue;
    return absl::DataLossError("the ends of the rows of " + plain_features_[i].ToString() + " make no sense");
  }
  return absl::OkStatus();
}

std::optional<DocId> Segment::Find(const Signature& signature) const {
  // MD5s are spread evenly: look where the first eight bytes say, then widen from there by doubling.
  const auto leading = [](const Signature& s) {
    uint64_t value;
    std::memcpy(&value, s.bytes.data(), sizeof(value));
    return __builtin_bswap64(value);
  };
  const size_t n = signatures_.size();
  if (n == 0) return std::nullopt;
  const auto guess = static_cast<size_t>(static_cast<unsigned __int128>(leading(signature)) * n >> 64);
  size_t low = guess, high = guess;  // [low, high) is where it may be
  for (size_t step = 64; low > 0 && signatures_[low] > signature; step *= 2) low -= std::min(low, step);
  for (size_t step = 64; high < n && signatures_[high] <= signature; step *= 2) high += std::min(n - high, step);
  const auto begin = signatures_.begin() + static_cast<ptrdiff_t>(low);
  const auto end = signatures_.begin() + static_cast<ptrdiff_t>(high);
  const auto found = std::lower_bound(begin, end, signature);
  if (found == end || *found != signature) return std::nullopt;
  return DocId(static_cast<uint32_t>(found - signatures_.begin()));
}

const DeepColumn* Segment::deep(const FeatureKey& key) const {
  const auto found = std::lower_bound(features_.begin(), features_.end(), key);
  if (found == features_.end() || *found != key) return nullptr;
  return &columns_[static_cast<size_t>(found - features_.begin())];
}

const PlainColumn* Segment::plain(const FeatureKey& key) const {
  const auto found = std::ranges::lower_bound(plain_features_, key);
  if (found == plain_features_.end() || *found != key) return nullptr;
  return &plain_[static_cast<size_t>(found - plain_features_.begin())];
}

std::optional<std::span<const std::byte>> Segment::section(std::string_view name, std::string_view feature) const {
  const Section* const found = FindSection(name, feature);
  if (found == nullptr) return std::nullopt;
  return bytes_.subspan(found->offset, found->length);
}

const Segment::Section* Segment::FindSection(std::string_view name, std::string_view feature) const {
  const auto found = std::lower_bound(
      sections_.begin(), sections_.end(), std::tie(name, feature), [](const Section& section, const auto& wanted) {
        return std::tuple<std::string_view, std::string_view>(section.name, section.feature) < wanted;
      });
  if (found == sections_.end() || found->name != name || found->feature != feature) return nullptr;
  return &*found;
}

}  // namespace likeness
