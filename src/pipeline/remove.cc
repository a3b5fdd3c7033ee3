#include "pipeline/remove.h"

#include "store/object_keys.h"

namespace likeness {

absl::StatusOr<bool> RemoveImage(Home& home, const Signature& signature) {
  LIKENESS_ASSIGN_OR_RETURN(const std::optional<ImageRecord> image, home.catalog().Image(signature));
  if (!image) return false;
  LIKENESS_ASSIGN_OR_RETURN(const bool removed, home.catalog().Remove(signature));
  // Also when it was removed before: an earlier call may have ended in between.
  if (image->location == "object:" + ImageKey(signature)) {
    LIKENESS_RETURN_IF_ERROR(home.objects().Delete(ImageKey(signature)));
  }
  return removed;
}

}  // namespace likeness
