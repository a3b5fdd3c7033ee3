// Makes the sealed segment of one shard.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/status.h"
#include "index/deep_column.h"
#include "index/plain_column.h"
#include "types/feature_key.h"
#include "types/fingerprint.h"

namespace likeness {

// Mutable and not searchable: Add every image once, in ascending order of signature, then Seal; the bytes are a file
// that Segment opens (docs/formats/segment.md). The same fingerprints give the same bytes. Holds everything in memory:
// about twice the size of the file at the end, and 600 bytes a document while it makes a graph. One thread at a time.
class SegmentWriter {
 public:
  struct Deep {
    FeatureKey key;
    DeepShape shape;
  };

  // A feature that is kept as it is.
  struct Plain {
    FeatureKey key;
    PlainShape shape;
  };

  // The features that the segment will have. Errors: InvalidArgument (two of one key, a key that is not
  // TYPE/VERSION, or a shape out of range).
  static absl::StatusOr<SegmentWriter> Create(std::vector<Deep> features, std::vector<Plain> plain = {});

  // Features that the segment does not have are passed over; those that the image does not have are marked so.
  // Errors: InvalidArgument when signatures do not ascend or a code or vector is not of its feature's shape, and then
  // nothing was added; the same for a value that is no whole number of rows, or not one row where there must be one.
  absl::Status Add(const Fingerprint& fingerprint);

  size_t doc_count() const { return signatures_.size(); }

  // Which graphs Seal makes (index/graph.h); without one a column is scanned.
  struct Indexing {
    uint64_t graph_least_bytes = uint64_t{2} << 20;  // of the codes of a column: scanning fewer is as quick
    size_t threads = 0;                              // that make a graph; 0: as many as there are
  };
  void set_indexing(const Indexing& indexing) { indexing_ = indexing; }

  // The bytes of the file. Leaves the writer empty, as it was created.
  std::vector<std::byte> Seal();

 private:
  struct Column {
    Deep deep;
    std::vector<uint64_t> codes;
    std::vector<int8_t> vectors;
    std::vector<float> norms;
    std::vector<uint64_t> present;
    bool complete = true;  // no document lacks the feature
  };

  struct PlainValues {
    Plain plain;
    std::vector<std::byte> values;
    std::vector<uint64_t> ends;
    std::vector<uint64_t> present;
    bool complete = true;
  };

  SegmentWriter(std::vector<Column> columns, std::vector<PlainValues> plain)
      : columns_(std::move(columns)), plain_(std::move(plain)) {}

  absl::Status CheckDeep(const Fingerprint& fingerprint, std::vector<const DeepCode*>& values) const;
  absl::Status CheckPlain(const Fingerprint& fingerprint) const;
  void AddPlain(const Fingerprint& fingerprint, size_t doc);

  std::vector<std::byte> GraphOf(const Column& column) const;

  Indexing indexing_;
  std::vector<Column> columns_;     // sorted by key
  std::vector<PlainValues> plain_;  // sorted by key
  std::vector<Signature> signatures_;
  std::vector<uint32_t> sizes_;
};

}  // namespace likeness
