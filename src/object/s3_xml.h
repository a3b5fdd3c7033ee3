// The few XML answers of S3 that a store reads. They come from a server and may be anything: what is malformed is
// DataLoss, or an empty text. All functions may be called from any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "object/object_store.h"

namespace likeness {

// The text of the first element `name` at or after `from`, with entities resolved; empty when there is none.
std::string XmlText(std::string_view xml, std::string_view name, size_t from = 0);

struct S3Page {
  std::vector<ObjectInfo> objects;  // keys as the server has them; etags without quotes
  bool truncated = false;           // there are more
};

// The answer to ListObjectsV2. Errors: DataLoss.
absl::StatusOr<S3Page> ParseListing(std::string_view xml);

// The body of CompleteMultipartUpload; part numbers begin with 1.
std::string CompleteUploadXml(const std::vector<std::string>& etags);

}  // namespace likeness
