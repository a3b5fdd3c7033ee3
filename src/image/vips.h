// libvips for this room: started once, quiet, single-threaded inside, objects that free themselves. Not for other
// rooms.
#pragma once

#include <vips/vips.h>

#include <memory>

namespace likeness {

// Starts libvips at the first call; false when it cannot start. Any thread.
bool StartVips();

// The text that libvips has gathered about failures, which is then forgotten. The text is shared by all threads, so it
// is for the log, never for a result.
void LogVipsError(const char* event);

struct VipsUnref {
  void operator()(void* object) const { g_object_unref(object); }
};
using VipsImagePtr = std::unique_ptr<VipsImage, VipsUnref>;
using VipsRegionPtr = std::unique_ptr<VipsRegion, VipsUnref>;

}  // namespace likeness
