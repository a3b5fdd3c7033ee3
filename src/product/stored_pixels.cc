#include "product/stored_pixels.h"

#include "base/bytes.h"
#include "image/decode.h"

namespace likeness {

absl::StatusOr<Pixels> ReadStoredPixels(Home& home, const Signature& signature) {
  LIKENESS_ASSIGN_OR_RETURN(const std::optional<ImageRecord> image, home.catalog().Image(signature));
  if (!image) return absl::NotFoundError("the collection has no image " + signature.Hex());
  LIKENESS_ASSIGN_OR_RETURN(const std::string bytes, home.ReadImage(*image));
  return DecodeImage(AsBytes(bytes), home.config().image, kStandardSize);
}

}  // namespace likeness
