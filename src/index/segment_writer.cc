#include "index/segment_writer.h"

#include <algorithm>
#include <limits>
#include <span>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/thread_pool.h"
#include "index/graph.h"
#include "index/segment_format.h"

namespace likeness {
namespace {

template <typename T>
std::span<const std::byte> BytesOf(const T& object) {
  return std::as_bytes(std::span(&object, 1));
}

// The file as it grows, with its table of contents.
class Assembly {
 public:
  explicit Assembly(size_t expected) { file_.reserve(expected); }

  void Append(std::span<const std::byte> bytes) { file_.insert(file_.end(), bytes.begin(), bytes.end()); }

  // Appends the values as a section and frees them, so that they are not held twice for longer than need be.
  template <typename T>
  void AppendSection(std::string_view name, std::string_view feature, uint64_t parameter, std::vector<T>& values) {
    file_.resize((file_.size() + kSegmentAlignment - 1) / kSegmentAlignment * kSegmentAlignment);
    const auto bytes = std::as_bytes(std::span(std::as_const(values)));
    const SegmentEntry entry{.offset = file_.size(),
                             .length = bytes.size(),
                             .checksum = Checksum(bytes),
                             .parameter = parameter,
                             .name_length = static_cast<uint16_t>(name.size()),
                             .feature_length = static_cast<uint16_t>(feature.size())};
    Append(bytes);
    for (const auto part : {BytesOf(entry), AsBytes(name), AsBytes(feature)}) {
      toc_.insert(toc_.end(), part.begin(), part.end());
    }
    ++sections_;
    std::vector<T>().swap(values);
  }

  std::vector<std::byte> Finish() {
    SegmentFooter footer{.toc_offset = file_.size(), .toc_length = toc_.size(), .toc_checksum = Checksum(toc_)};
    footer.sections = sections_;
    footer.file_length = file_.size() + toc_.size() + sizeof(footer);
    footer.checksum = Checksum(BytesOf(footer).first(offsetof(SegmentFooter, checksum)));
    Append(toc_);
    Append(BytesOf(footer));
    return std::move(file_);
  }

 private:
  std::vector<std::byte> file_;
  std::vector<std::byte> toc_;
  uint32_t sections_ = 0;
};

// Sorts by key, and refuses what is no key or there twice.
template <typename T>
absl::Status SortByKey(std::vector<T>& features) {
  std::sort(features.begin(), features.end(), [](const T& a, const T& b) { return a.key < b.key; });
  for (size_t i = 0; i < features.size(); ++i) {
    const std::string text = features[i].key.ToString();
    if (FeatureKey::Parse(text) != features[i].key || text.size() > std::numeric_limits<uint16_t>::max()) {
      return absl::InvalidArgumentError("\"" + text + "\" is not the name of a feature, TYPE/VERSION");
    }
    if (i > 0 && features[i - 1].key == features[i].key) {
      return absl::InvalidArgumentError("feature " + text + " is named twice");
    }
  }
  return absl::OkStatus();
}

absl::Status Refused(const Fingerprint& fingerprint, const std::string& reason) {
  return absl::InvalidArgumentError("image " + fingerprint.signature.Hex() + " " + reason);
}

}  // namespace

absl::StatusOr<SegmentWriter> SegmentWriter::Create(std::vector<Deep> features, std::vector<Plain> plain) {
  LIKENESS_RETURN_IF_ERROR(SortByKey(features));
  LIKENESS_RETURN_IF_ERROR(SortByKey(plain));
  std::vector<Column> columns;
  for (Deep& deep : features) {
    const std::string text = deep.key.ToString();
    if (deep.shape.code_bits < 1 || deep.shape.code_bits > kMaxCodeBits || deep.shape.dimension < 1 ||
        deep.shape.dimension > kMaxVectorDimension) {
      return absl::InvalidArgumentError("feature " + text + " has a code of " + std::to_string(deep.shape.code_bits) +
                                        " bits and a vector of " + std::to_string(deep.shape.dimension) +
                                        "; a segment holds 1 to " + std::to_string(kMaxCodeBits) + " and 1 to " +
                                        std::to_string(kMaxVectorDimension));
    }
    columns.emplace_back().deep = std::move(deep);
  }
  std::vector<PlainValues> values;
  for (Plain& one : plain) {
    if (one.shape.row_bytes < 1 || one.shape.row_bytes > kMaxPlainRowBytes) {
      return absl::InvalidArgumentError("feature " + one.key.ToString() + " has rows of " +
                                        std::to_string(one.shape.row_bytes) + " bytes; a segment holds 1 to " +
                                        std::to_string(kMaxPlainRowBytes));
    }
    values.emplace_back().plain = std::move(one);
  }
  return SegmentWriter(std::move(columns), std::move(values));
}

absl::Status SegmentWriter::CheckDeep(const Fingerprint& fingerprint, std::vector<const DeepCode*>& values) const {
  for (const Column& column : columns_) {
    const auto found = std::find_if(fingerprint.deep.begin(), fingerprint.deep.end(),
                                    [&](const Fingerprint::Deep& deep) { return deep.key == column.deep.key; });
    const DeepShape& shape = column.deep.shape;
    values.push_back(found == fingerprint.deep.end() ? nullptr : &found->value);
    if (values.back() == nullptr) continue;
    const DeepCode& value = *values.back();
    if (value.code.size() != shape.words() || value.vector.size() != shape.dimension) {
      return Refused(fingerprint, "has " + std::to_string(64 * value.code.size()) + " bits and " +
                                      std::to_string(value.vector.size()) + " components of " +
                                      column.deep.key.ToString() + ", the segment " + std::to_string(shape.code_bits) +
                                      " and " + std::to_string(shape.dimension));
    }
    if (shape.code_bits % 64 != 0 && value.code.back() >> (shape.code_bits % 64) != 0) {
      return Refused(fingerprint, "has bits beyond the end of its code of " + column.deep.key.ToString());
    }
  }
  return absl::OkStatus();
}

absl::Status SegmentWriter::CheckPlain(const Fingerprint& fingerprint) const {
  for (const PlainValues& column : plain_) {
    const Fingerprint::Plain* const found = fingerprint.FindPlain(column.plain.key);
    if (found == nullptr) continue;
    const PlainShape& shape = column.plain.shape;
    const size_t size = found->value.size();
    if (shape.ragged ? size % shape.row_bytes == 0 : size == shape.row_bytes) continue;
    return Refused(fingerprint, "has " + std::to_string(size) + " bytes of " + column.plain.key.ToString() +
                                    ", the segment rows of " + std::to_string(shape.row_bytes));
  }
  return absl::OkStatus();
}

void SegmentWriter::AddPlain(const Fingerprint& fingerprint, size_t doc) {
  for (PlainValues& column : plain_) {
    const Fingerprint::Plain* const found = fingerprint.FindPlain(column.plain.key);
    const PlainShape& shape = column.plain.shape;
    if (doc % 64 == 0) column.present.push_back(0);
    if (found != nullptr) {
      column.present.back() |= uint64_t{1} << (doc % 64);
      const auto bytes = AsBytes(found->value);
      column.values.insert(column.values.end(), bytes.begin(), bytes.end());
    } else {
      column.complete = false;
      if (!shape.ragged) column.values.resize(column.values.size() + shape.row_bytes);
    }
    if (shape.ragged) column.ends.push_back(column.values.size() / shape.row_bytes);
  }
}

absl::Status SegmentWriter::Add(const Fingerprint& fingerprint) {
  if (!signatures_.empty() && fingerprint.signature <= signatures_.back()) {
    return Refused(fingerprint, "does not come after the image before it, " + signatures_.back().Hex());
  }
  if (signatures_.size() == std::numeric_limits<uint32_t>::max()) {
    return Refused(fingerprint, "is one too many for a segment");
  }
  std::vector<const DeepCode*> values;  // beside columns_
  LIKENESS_RETURN_IF_ERROR(CheckDeep(fingerprint, values));
  LIKENESS_RETURN_IF_ERROR(CheckPlain(fingerprint));

  const size_t doc = signatures_.size();
  AddPlain(fingerprint, doc);
  signatures_.push_back(fingerprint.signature);
  sizes_.insert(sizes_.end(), {fingerprint.width, fingerprint.height});
  for (size_t i = 0; i < columns_.size(); ++i) {
    Column& column = columns_[i];
    if (doc % 64 == 0) column.present.push_back(0);
    if (values[i] != nullptr) {
      column.present.back() |= uint64_t{1} << (doc % 64);
      column.codes.insert(column.codes.end(), values[i]->code.begin(), values[i]->code.end());
      column.vectors.insert(column.vectors.end(), values[i]->vector.begin(), values[i]->vector.end());
      column.norms.push_back(values[i]->norm);
    } else {
      column.complete = false;
      column.codes.resize(column.codes.size() + column.deep.shape.words());
      column.vectors.resize(column.vectors.size() + column.deep.shape.dimension);
      column.norms.push_back(0);
    }
  }
  return absl::OkStatus();
}

std::vector<std::byte> SegmentWriter::GraphOf(const Column& column) const {
  const uint64_t bytes = column.codes.size() * sizeof(uint64_t);
  if (column.codes.empty() || bytes < indexing_.graph_least_bytes) return {};
  GraphOptions options;
  options.threads = indexing_.threads != 0 ? indexing_.threads : AvailableThreads();
  const std::span<const uint64_t> present = column.complete ? std::span<const uint64_t>() : column.present;
  return MakeGraph({column.codes, column.deep.shape.words()}, present, options);
}

std::vector<std::byte> SegmentWriter::Seal() {
  size_t expected = 4096 + signatures_.size() * (sizeof(Signature) + 2 * sizeof(uint32_t));
  for (const Column& column : columns_) {
    expected += 1024 + column.vectors.size() + 8 * (column.codes.size() + column.present.size()) +
                sizeof(float) * column.norms.size();
  }
  for (const PlainValues& column : plain_) {
    expected += 1024 + column.values.size() + 8 * (column.ends.size() + column.present.size());
  }
  Assembly assembly(expected);
  SegmentHeader header{.documents = signatures_.size()};
  header.checksum = Checksum(BytesOf(header).first(offsetof(SegmentHeader, checksum)));
  assembly.Append(BytesOf(header));
  assembly.AppendSection(kSignaturesSection, {}, 0, signatures_);
  assembly.AppendSection(kSizesSection, {}, 0, sizes_);
  for (Column& column : columns_) {
    const std::string feature = column.deep.key.ToString();
    std::vector<std::byte> graph = GraphOf(column);
    assembly.AppendSection(kDeepCodesSection, feature, column.deep.shape.code_bits, column.codes);
    assembly.AppendSection(kDeepVectorsSection, feature, column.deep.shape.dimension, column.vectors);
    assembly.AppendSection(kDeepNormsSection, feature, 0, column.norms);
    if (!column.complete) assembly.AppendSection(kDeepPresentSection, feature, 0, column.present);
    if (!graph.empty()) assembly.AppendSection(kDeepGraphSection, feature, 0, graph);
    column.present.clear();
    column.complete = true;
  }
  for (PlainValues& column : plain_) {
    const std::string feature = column.plain.key.ToString();
    const PlainShape& shape = column.plain.shape;
    assembly.AppendSection(kPlainValuesSection, feature, shape.row_bytes, column.values);
    if (shape.ragged) assembly.AppendSection(kPlainEndsSection, feature, 0, column.ends);
    if (!column.complete) assembly.AppendSection(kPlainPresentSection, feature, 0, column.present);
    column.ends.clear();
    column.present.clear();
    column.complete = true;
  }
  return assembly.Finish();
}

}  // namespace likeness
