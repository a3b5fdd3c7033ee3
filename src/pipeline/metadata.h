// What people wrote about the images of a shard, as the leaf ranker reads it (index/metadata.h).
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "catalog/catalog.h"
#include "index/segment.h"
#include "pipeline/home.h"
#include "store/release.h"
#include "types/epoch.h"
#include "types/hit.h"
#include "types/pin.h"

namespace likeness {

// The words of an image: of the descriptions of its pins and of the titles of their boards. Sorted, distinct.
std::vector<std::string> WordsOfPins(std::span<const Pin> pins);

// The same as a query brings them with it, each of the same weight.
std::vector<Annotation> AnnotationsOfPins(std::span<const Pin> pins);

// The metadata file of the images of `segment` as the catalog has them now. Errors: those of the catalog.
absl::StatusOr<std::vector<std::byte>> MakeMetadata(Catalog& catalog, const Segment& segment);

// Makes the file of one shard and puts it, unless one of this content is there. Returns its digest, which is part of
// its key. Errors: those of the catalog and the store.
absl::StatusOr<std::string> SealShardMetadata(Home& home, std::string_view generation, const ShardId& shard);

// Opens the file of a shard of a release for its segment; null where the release has none. Errors: NotFound, DataLoss.
absl::StatusOr<std::shared_ptr<const Segment>> OpenShardMetadata(ObjectStore& objects, std::string_view generation,
                                                                 const Release::Shard& shard, const Segment& segment);

}  // namespace likeness
