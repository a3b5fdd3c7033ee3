#include <nlohmann/json.hpp>

#include "index/segment.h"
#include "index/segment_format.h"

namespace likeness {

absl::StatusOr<std::string> InspectSegment(std::span<const std::byte> bytes) {
  LIKENESS_ASSIGN_OR_RETURN(const std::shared_ptr<const Segment> segment, Segment::Open(bytes));
  using Json = nlohmann::ordered_json;
  Json features = Json::array(), sections = Json::array();
  for (const FeatureKey& key : segment->features()) {
    const DeepColumn& column = *segment->deep(key);
    size_t present = 0;
    for (size_t doc = 0; doc < column.doc_count; ++doc)
      present += column.has(DocId(static_cast<uint32_t>(doc))) ? 1 : 0;
    features.push_back({{"feature", key.ToString()},
                        {"code_bits", column.shape.code_bits},
                        {"dimension", column.shape.dimension},
                        {"documents", present}});
  }
  for (const FeatureKey& key : segment->plain_features()) {
    const PlainColumn& column = *segment->plain(key);
    size_t present = 0;
    for (size_t doc = 0; doc < column.doc_count; ++doc)
      present += column.has(DocId(static_cast<uint32_t>(doc))) ? 1 : 0;
    features.push_back({{"feature", key.ToString()},
                        {"row_bytes", column.shape.row_bytes},
                        {"ragged", column.shape.ragged},
                        {"documents", present}});
  }
  for (const Segment::Section& section : segment->sections()) {
    sections.push_back({{"name", section.name},
                        {"feature", section.feature},
                        {"offset", section.offset},
                        {"bytes", section.length},
                        {"parameter", section.parameter},
                        {"checksum_ok", segment->VerifySection(section).ok()}});
  }
  const absl::Status verified = segment->Verify();
  Json report{{"format", "segment"},
              {"version", kSegmentVersion},
              {"bytes", bytes.size()},
              {"documents", segment->doc_count()},
              {"ok", verified.ok()}};
  if (!verified.ok()) report["reason"] = MessageOf(verified);
  report["features"] = std::move(features);
  report["sections"] = std::move(sections);
  return report.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace likeness
