// The pixels of an image of the collection, as duplicates are judged by.
#pragma once

#include "base/status.h"
#include "image/pixels.h"
#include "pipeline/home.h"
#include "types/signature.h"

namespace likeness {

// Decoded with kStandardSize. Errors: NotFound (the catalog does not have it); those of Home::ReadImage; data errors of
// DecodeImage. Any thread.
absl::StatusOr<Pixels> ReadStoredPixels(Home& home, const Signature& signature);

}  // namespace likeness
