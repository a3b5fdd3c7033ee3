// What the API asks of a collection. One implementation stands on a home (service_backend.h), another in memory for
// tests and fuzzing, which then need no model, catalog or disk.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "catalog/catalog.h"
#include "pipeline/collection_status.h"
#include "serve/adder.h"
#include "serve/duplicate_service.h"
#include "serve/search_service.h"

namespace likeness {

struct ServedPictures {
  uint64_t release = 0;  // of the release, without removed ones; 0 before the first
  YoungPictures young;
};

// Any thread. Errors are those of SearchService, DuplicateService, Catalog and Home.
class Backend {
 public:
  virtual ~Backend() = default;

  virtual absl::StatusOr<SearchAnswer> Search(const SearchRequest& request) = 0;
  virtual absl::StatusOr<ImageList> List(uint64_t offset, size_t limit, const PinFilter& filter) = 0;
  virtual absl::StatusOr<std::optional<ImageRecord>> Image(const Signature& signature) = 0;
  virtual absl::StatusOr<std::vector<Pin>> Pins(const Signature& signature) = 0;
  // That the served release has of the image; empty where it does not have the image.
  virtual std::vector<FeatureKey> Features(const Signature& signature) = 0;
  // Of the served release; empty where it has none.
  virtual ColorSignature Colors(const Signature& signature) = 0;
  virtual absl::StatusOr<DuplicatesAnswer> Duplicates(const DuplicatesRequest& request) = 0;
  virtual absl::StatusOr<DuplicateClusterPage> DuplicateClusters(uint64_t offset, size_t limit) = 0;
  virtual absl::StatusOr<std::vector<Board>> Boards() = 0;
  virtual absl::StatusOr<CollectionStatus> Status() = 0;
  virtual ServedPictures Served() = 0;
  // What those who search for it count, in the text format of Prometheus.
  virtual std::string SearcherMetrics() { return {}; }
  // The original bytes.
  virtual absl::StatusOr<std::string> Read(const ImageRecord& image) = 0;
  // Takes a picture in, or out for good (false: there is none). See Adder::Add and SearchService::Remove.
  virtual absl::StatusOr<AddedPicture> Add(const NewPicture& picture, Deadline deadline) = 0;
  virtual absl::StatusOr<bool> Remove(const Signature& signature) = 0;
  // A JPEG of at most `side` pixels on its longest side.
  virtual absl::StatusOr<std::string> Thumbnail(const ImageRecord& image, uint32_t side) = 0;
};

}  // namespace likeness
