// The collection behind the API: a SearchService and its home.
#pragma once

#include "serve/backend.h"

namespace likeness {

class ServiceBackend final : public Backend {
 public:
  // `service` and `adder` must outlive the backend. Without an adder no picture is taken in.
  explicit ServiceBackend(SearchService& service, Adder* adder = nullptr)
      : service_(service), adder_(adder), duplicates_(service.home(), [this] { return ServedNow(); }) {}

  absl::StatusOr<SearchAnswer> Search(const SearchRequest& request) override;
  absl::StatusOr<ImageList> List(uint64_t offset, size_t limit, const PinFilter& filter) override;
  absl::StatusOr<std::optional<ImageRecord>> Image(const Signature& signature) override;
  absl::StatusOr<std::vector<Pin>> Pins(const Signature& signature) override;
  std::vector<FeatureKey> Features(const Signature& signature) override;
  ColorSignature Colors(const Signature& signature) override;
  absl::StatusOr<DuplicatesAnswer> Duplicates(const DuplicatesRequest& request) override;
  absl::StatusOr<DuplicateClusterPage> DuplicateClusters(uint64_t offset, size_t limit) override;
  absl::StatusOr<std::vector<Board>> Boards() override;
  absl::StatusOr<CollectionStatus> Status() override;
  ServedPictures Served() override;
  std::string SearcherMetrics() override { return service_.searcher().MetricsText(); }
  absl::StatusOr<std::string> Read(const ImageRecord& image) override;
  absl::StatusOr<AddedPicture> Add(const NewPicture& picture, Deadline deadline) override;
  absl::StatusOr<bool> Remove(const Signature& signature) override;
  absl::StatusOr<std::string> Thumbnail(const ImageRecord& image, uint32_t side) override;

 private:
  absl::StatusOr<std::shared_ptr<const Serving>> ServedNow();

  SearchService& service_;
  Adder* const adder_;
  DuplicateService duplicates_;
};

}  // namespace likeness
