// Structured log lines to standard error: `time level event key=value ...`. Any thread.
//
//   Log(LogLevel::kWarning, "image_skipped", {{"source", path}, {"reason", reason}});
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace likeness {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// Lines below `level` are dropped. Default: kInfo.
void SetLogLevel(LogLevel level);

// Values with spaces, quotes or control characters are quoted and escaped, so that a line stays a line.
void Log(LogLevel level, std::string_view event,
         std::initializer_list<std::pair<std::string_view, std::string>> fields = {});

}  // namespace likeness
