#include "serve/service_backend.h"

#include <span>

#include "image/encode.h"

namespace likeness {

absl::StatusOr<std::shared_ptr<const Serving>> ServiceBackend::ServedNow() {
  LIKENESS_RETURN_IF_ERROR(service_.live().Follow());
  return service_.serving();
}

absl::StatusOr<SearchAnswer> ServiceBackend::Search(const SearchRequest& request) { return service_.Search(request); }

absl::StatusOr<ImageList> ServiceBackend::List(uint64_t offset, size_t limit, const PinFilter& filter) {
  return service_.List(offset, limit, filter);
}

absl::StatusOr<std::optional<ImageRecord>> ServiceBackend::Image(const Signature& signature) {
  return service_.home().catalog().Image(signature);
}

absl::StatusOr<std::vector<Pin>> ServiceBackend::Pins(const Signature& signature) {
  return service_.home().catalog().Pins({&signature, 1});
}

std::vector<FeatureKey> ServiceBackend::Features(const Signature& signature) {
  const std::shared_ptr<const Serving> serving = service_.serving();
  if (serving == nullptr) return {};
  const std::optional<Snapshot::Place> place = serving->snapshot->Find(signature);
  if (!place) return {};
  const Segment& segment = *serving->snapshot->segments()[place->segment];
  std::vector<FeatureKey> features(segment.features().begin(), segment.features().end());
  for (const FeatureKey& key : segment.plain_features()) {
    if (segment.plain(key)->has(place->doc)) features.push_back(key);
  }
  return features;
}

ColorSignature ServiceBackend::Colors(const Signature& signature) { return service_.Colors(signature); }

absl::StatusOr<DuplicatesAnswer> ServiceBackend::Duplicates(const DuplicatesRequest& request) {
  return duplicates_.Find(request);
}

absl::StatusOr<DuplicateClusterPage> ServiceBackend::DuplicateClusters(uint64_t offset, size_t limit) {
  return duplicates_.Clusters(offset, limit);
}

absl::StatusOr<std::vector<Board>> ServiceBackend::Boards() { return service_.home().catalog().Boards(); }

absl::StatusOr<CollectionStatus> ServiceBackend::Status() {
  LIKENESS_ASSIGN_OR_RETURN(CollectionStatus status, ReadCollectionStatus(service_.home()));
  status.young = service_.live().young();
  return status;
}

ServedPictures ServiceBackend::Served() {
  const std::shared_ptr<const Serving> serving = service_.serving();
  const YoungPictures young = service_.live().young();
  return {serving == nullptr ? 0 : serving->visible - young.images, young};
}

absl::StatusOr<std::string> ServiceBackend::Read(const ImageRecord& image) { return service_.home().ReadImage(image); }

absl::StatusOr<AddedPicture> ServiceBackend::Add(const NewPicture& picture, Deadline deadline) {
  if (adder_ == nullptr) return absl::FailedPreconditionError("This server takes no pictures in.");
  return adder_->Add(picture, deadline);
}

absl::StatusOr<bool> ServiceBackend::Remove(const Signature& signature) { return service_.Remove(signature); }

absl::StatusOr<std::string> ServiceBackend::Thumbnail(const ImageRecord& image, uint32_t side) {
  LIKENESS_ASSIGN_OR_RETURN(const std::string bytes, Read(image));
  return MakeThumbnail(AsBytes(bytes), service_.home().config().image, side);
}

}  // namespace likeness
