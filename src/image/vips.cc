#include "image/vips.h"

#include "base/log.h"

namespace likeness {

bool StartVips() {
  static const bool started = [] {
    // Loaders report oddities of a file as warnings on standard error; here they go to the log.
    g_log_set_handler(
        "VIPS", static_cast<GLogLevelFlags>(G_LOG_LEVEL_MASK | G_LOG_FLAG_RECURSION),
        [](const gchar*, GLogLevelFlags, const gchar* message, gpointer) {
          Log(LogLevel::kDebug, "vips", {{"message", message == nullptr ? "" : message}});
        },
        nullptr);
    if (VIPS_INIT("likeness") != 0) return false;
    vips_concurrency_set(1);  // we decode many pictures at once instead
    vips_cache_set_max(0);    // no picture is decoded twice, and untrusted pixels must not linger
    vips_cache_set_max_mem(0);
    vips_cache_set_max_files(0);
    vips_block_untrusted_set(TRUE);
    return true;
  }();
  return started;
}

void LogVipsError(const char* event) {
  char* text = vips_error_buffer_copy();
  Log(LogLevel::kDebug, event, {{"vips", text == nullptr ? "" : text}});
  g_free(text);
}

}  // namespace likeness
