#include "index/graph.h"

#include <atomic>
#include <cstring>
#include <string>

#include "index/graph_format.h"

namespace likeness {
namespace {

absl::Status Damaged(const std::string& what) { return absl::DataLossError("the graph makes no sense: " + what); }

}  // namespace

absl::StatusOr<GraphView> GraphView::Read(std::span<const std::byte> bytes, size_t documents, size_t words) {
  GraphHeader header;
  if (bytes.size() < sizeof(header)) return Damaged("it has only " + std::to_string(bytes.size()) + " bytes");
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (header.magic != kGraphMagic) return Damaged("the first bytes are of something else");
  if (header.version > kGraphVersion) {
    return absl::UnimplementedError("the graph has format version " + std::to_string(header.version) +
                                    ", this program reads up to " + std::to_string(kGraphVersion));
  }
  if (header.documents != documents || header.words != words || header.degree > kMaxGraphDegree ||
      header.members > documents || header.pivots > header.members || (header.members > 0) != (header.pivots > 0)) {
    return Damaged("it is not of this column");
  }
  GraphView view{.documents = documents, .words = words, .degree = header.degree};
  view.radius = header.radius / 16.0;
  static std::atomic<uint64_t> read = 0;
  view.number = ++read;
  uint64_t at = sizeof(header);
  // Nothing overflows: documents is below 2^32, and the rest of a row below 2^14 bytes.
  const auto take = [&]<typename T>(uint64_t count, std::span<const T>& out) {
    const uint64_t size = count * sizeof(T);
    if (at > bytes.size() || size > bytes.size() - at) return false;
    out = {reinterpret_cast<const T*>(bytes.data() + at), static_cast<size_t>(count)};
    at += AlignedForGraph(size);
    return true;
  };
  if (!take(uint64_t{documents} * header.degree, view.edges) || !take(uint64_t{header.pivots} * words, view.pivots) ||
      !take(header.pivots, view.ends) || !take(header.members, view.members) ||
      !take(header.has_same != 0 ? documents : 0, view.same) || at != AlignedForGraph(bytes.size())) {
    return Damaged("its parts are longer or shorter than it");
  }
  return view;
}

absl::Status GraphView::Check() const {
  for (const uint32_t to : edges) {
    if (to >= documents && to != kNoRow) return Damaged("an edge leads to document " + std::to_string(to));
  }
  uint32_t before = 0;
  for (const uint32_t end : ends) {
    if (end < before || end > members.size()) return Damaged("a list ends at " + std::to_string(end));
    before = end;
  }
  if (before != members.size()) return Damaged("the lists do not hold all members");
  for (const uint32_t row : members) {
    if (row >= documents) return Damaged("a list holds document " + std::to_string(row));
  }
  for (size_t i = 0; i < same.size(); ++i) {
    if (same[i] <= i || (same[i] >= documents && same[i] != kNoRow)) {
      return Damaged("a chain leads to document " + std::to_string(same[i]));
    }
  }
  return absl::OkStatus();
}

}  // namespace likeness
