// The door for answers of S3 servers: any bytes are a listing or refused, and an error is read from any.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/status.h"
#include "object/s3_xml.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace likeness;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  LIKENESS_CHECK(XmlText(text, "Code").size() <= size && XmlText(text, "UploadId").size() <= size);
  const auto page = ParseListing(text);
  if (!page.ok()) return 0;
  uint64_t bytes = 0;
  for (const ObjectInfo& object : page->objects) {
    LIKENESS_CHECK(!object.key.empty());
    bytes += object.key.size() + object.etag.size();
  }
  LIKENESS_CHECK(bytes <= 2 * size);  // In what is no XML, a key may lie within an etag.
  return 0;
}
