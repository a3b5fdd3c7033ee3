#include "cli/board_set.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "base/random.h"
#include "serve/search_service.h"

namespace likeness {
namespace {

// Signatures of `boards`, label by label, cut down to what the options allow.
std::map<Signature, uint32_t> Draw(std::vector<std::vector<Signature>> boards, const BoardSetOptions& options) {
  Random random(options.seed);
  const size_t share = std::max(options.least, options.most_of_all / std::max<size_t>(1, boards.size()));
  std::map<Signature, uint32_t> drawn;
  for (size_t label = 0; label < boards.size(); ++label) {
    std::vector<Signature>& pictures = boards[label];
    std::shuffle(pictures.begin(), pictures.end(), random);
    pictures.resize(std::min({pictures.size(), options.most, share}));
    for (const Signature& signature : pictures) drawn.emplace(signature, static_cast<uint32_t>(label));
  }
  return drawn;
}

}  // namespace

absl::StatusOr<size_t> LargeBoards(Home& home, const BoardSetOptions& options) {
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<Board> boards, home.catalog().Boards());
  return static_cast<size_t>(std::ranges::count_if(boards, [&](const Board& b) { return b.images >= options.least; }));
}

absl::StatusOr<FloorSet> SetOfBoards(Home& home, const BoardSetOptions& options) {
  LIKENESS_ASSIGN_OR_RETURN(const auto service, SearchService::Open(home, options.threads));
  const std::shared_ptr<const Serving> serving = service->serving();
  if (serving == nullptr) return absl::FailedPreconditionError("nothing is indexed yet: run `likeness index` first");
  LIKENESS_ASSIGN_OR_RETURN(std::vector<Board> known, home.catalog().Boards());
  std::ranges::sort(known, {}, &Board::id);
  const Snapshot& snapshot = *serving->snapshot;
  const auto column = [&](const Snapshot::Place& place) {
    return snapshot.segments()[place.segment]->deep(serving->feature);
  };
  std::map<Signature, Snapshot::Place> places;
  std::vector<std::vector<Signature>> boards;
  for (const Board& board : known) {
    LIKENESS_ASSIGN_OR_RETURN(const std::vector<Signature> pinned, home.catalog().Match({.board = board.id}));
    std::vector<Signature> pictures;
    for (const Signature& signature : pinned) {
      const auto place = snapshot.Find(signature);
      if (!place || column(*place) == nullptr || !column(*place)->has(place->doc)) continue;
      if (places.emplace(signature, *place).second) pictures.push_back(signature);
    }
    if (pictures.size() >= options.least) boards.push_back(std::move(pictures));
  }
  if (boards.size() < 2) {
    return absl::FailedPreconditionError("no two boards of this collection have " + std::to_string(options.least) +
                                         " pictures each: name labelled pictures with --set");
  }
  FloorSet set;
  set.name = "boards";
  set.feature = serving->feature;
  for (const auto& [signature, label] : Draw(std::move(boards), options)) {
    const Snapshot::Place& place = places.at(signature);
    const DeepColumn& deep = *column(place);
    set.dimension = deep.shape.dimension;
    set.signatures.push_back(signature);
    set.labels.push_back(label);
    for (const int8_t value : deep.vector(place.doc)) {
      set.values.push_back(deep.norm(place.doc) > 0 ? static_cast<float>(value) / deep.norm(place.doc) : 0.0f);
    }
  }
  return set;
}

}  // namespace likeness
