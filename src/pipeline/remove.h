// Taking a picture out of a collection for good.
#pragma once

#include "base/status.h"
#include "pipeline/home.h"

namespace likeness {

// Marks the image in the catalog, which every search asks before it answers, and deletes the copy of its bytes that the
// collection keeps; files that lie elsewhere are left alone. Segments and features that have it are left too: it is
// masked. False when there is no such image, or no longer. Errors: those of catalog and store.
absl::StatusOr<bool> RemoveImage(Home& home, const Signature& signature);

}  // namespace likeness
