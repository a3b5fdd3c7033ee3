// Runs the likeness program as a user would, and kills it as the world would.
#pragma once

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace likeness {

struct ProcessResult {
  int exit_code = -1;       // -1 when it was killed
  std::string output;       // standard output
  double seconds = 0;       // wall time
  uint64_t peak_bytes = 0;  // largest resident memory

  nlohmann::json LastLine() const;  // of the output, as JSON
};

// Runs `likeness ARGUMENTS` and waits; with `kill_after`, sends SIGKILL when that time has passed.
ProcessResult RunLikeness(const std::vector<std::string>& arguments,
                          std::optional<std::chrono::microseconds> kill_after = std::nullopt);

// True, with a message, where the default model has not been prepared: the test should be skipped.
bool ModelIsMissing();

}  // namespace likeness
