#include "serve/query_keypoints.h"

#include <algorithm>
#include <cmath>

#include "base/bytes.h"
#include "base/log.h"
#include "feature/local.h"

namespace likeness {
namespace {

constexpr size_t kMostWordsEach = 4;  // of a keypoint of a query

// The part of the picture that the region covers; the whole where it is none.
Pixels Cut(const Pixels& pixels, const Region& region) {
  const double across = static_cast<double>(pixels.width) / std::max(pixels.full_width, 1u);
  const double down = static_cast<double>(pixels.height) / std::max(pixels.full_height, 1u);
  const auto at = [](double place, uint32_t most) {
    return static_cast<uint32_t>(std::clamp(std::round(place), 0.0, static_cast<double>(most)));
  };
  const uint32_t left = at(region.x * across, pixels.width), top = at(region.y * down, pixels.height);
  const uint32_t right = at((region.x + region.width) * across, pixels.width);
  const uint32_t bottom = at((region.y + region.height) * down, pixels.height);
  if (right <= left || bottom <= top) return pixels;
  Pixels part;
  part.width = right - left;
  part.height = bottom - top;
  part.full_width = static_cast<uint32_t>(region.width);
  part.full_height = static_cast<uint32_t>(region.height);
  part.rgb.resize(size_t{3} * part.width * part.height);
  for (uint32_t row = 0; row < part.height; ++row) {
    const auto from = pixels.rgb.begin() + static_cast<std::ptrdiff_t>((size_t{top + row} * pixels.width + left) * 3);
    std::copy_n(from, size_t{3} * part.width,
                part.rgb.begin() + static_cast<std::ptrdiff_t>(size_t{3} * row * part.width));
  }
  return part;
}

// A small part of a picture has few keypoints, and noise brings some of them to a neighboring word: they ask several
// (J. Philbin et al., "Lost in Quantization", CVPR 2008), as many words in all as a whole picture asks.
size_t WordsEach(size_t keypoints) {
  return std::clamp<size_t>(kMostKeypoints / std::max<size_t>(keypoints, 1), 1, kMostWordsEach);
}

}  // namespace

std::shared_ptr<const QueryKeypoints> QueryKeypoints::Open(Home& home, const Release& release,
                                                           const Snapshot& snapshot) {
  const FeatureKey* const feature = LocalFeatureOf(release.features);
  bool tokens = false;
  for (size_t i = 0; i < snapshot.segments().size(); ++i) tokens = tokens || snapshot.tokens(i) != nullptr;
  if (feature == nullptr || !tokens) return nullptr;
  const auto open = [&]() -> absl::StatusOr<std::shared_ptr<const QueryKeypoints>> {
    LIKENESS_ASSIGN_OR_RETURN(std::filesystem::path path, FindVocabulary(home.path(), home.config().vocabulary));
    LIKENESS_ASSIGN_OR_RETURN(const std::string digest, ReadVocabularyDigest(path));
    if (LocalFeatureKey(digest) != *feature) {
      return absl::FailedPreconditionError(
          "the vocabulary has changed since the collection was indexed: run `likeness "
          "fingerprint` and `likeness index` again");
    }
    return std::shared_ptr<const QueryKeypoints>(new QueryKeypoints(home, release, *feature, std::move(path)));
  };
  auto opened = open();
  if (opened.ok()) return *std::move(opened);
  Log(LogLevel::kWarning, "tokens_unused", {{"release", release.name}, {"reason", MessageOf(opened.status())}});
  return nullptr;
}

QueryKeypoints::QueryKeypoints(Home& home, const Release& release, FeatureKey feature, std::filesystem::path vocabulary)
    : feature_(std::move(feature)),
      path_(std::move(vocabulary)),
      near_(home.config().objects.url.empty()),
      rows_(home, release) {}

absl::StatusOr<std::shared_ptr<const Vocabulary>> QueryKeypoints::Words() const {
  const std::lock_guard lock(mutex_);
  if (vocabulary_ == nullptr) {
    LIKENESS_ASSIGN_OR_RETURN(vocabulary_, Vocabulary::Open(path_));
  }
  return vocabulary_;
}

absl::StatusOr<std::optional<std::string>> QueryKeypoints::Stored(const Snapshot& snapshot,
                                                                  const Signature& signature) const {
  const std::optional<Snapshot::Place> place = near_ ? snapshot.Find(signature) : std::nullopt;
  const size_t sealed = snapshot.segments().size() - snapshot.young();
  if (!place || place->segment >= sealed || snapshot.tokens(place->segment) == nullptr) return std::nullopt;
  LIKENESS_ASSIGN_OR_RETURN(const auto rows, rows_.Get(snapshot, *place));
  return std::string(AsText(rows));
}

DecodeSize QueryKeypoints::SizeFor(uint32_t full_width, uint32_t full_height, const Region& region) {
  const auto part = static_cast<uint64_t>(std::max(region.width, region.height));
  const uint64_t full = std::max(full_width, full_height), wanted = (full * kLocalFrame + part - 1) / part;
  return {0, static_cast<uint32_t>(std::min(wanted, full))};
}

absl::StatusOr<std::string> QueryKeypoints::Of(const Pixels& pixels, const std::optional<Region>& region) const {
  LIKENESS_ASSIGN_OR_RETURN(const auto vocabulary, Words());
  LIKENESS_ASSIGN_OR_RETURN(const LocalFeatures found,
                            region ? ExtractLocal(Cut(pixels, *region)) : ExtractLocal(pixels));
  std::vector<LocalFeature> words = AssignWords(found, *vocabulary, WordsEach(found.size()));
  std::ranges::stable_sort(words, {}, &LocalFeature::word);
  return std::string(AsText(PackLocals(words)));
}

}  // namespace likeness
