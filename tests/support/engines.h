// The real servers that scripts/engines started: where they are, and how a test restarts or kills them.
#pragma once

#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>

namespace likeness {

// The folder that scripts/engines was given with --at.
inline std::string EnginesFolder() {
  const char* at = std::getenv("LIKENESS_ENGINES_AT");
  return at != nullptr ? at : LIKENESS_ENGINES_AT;
}

// What scripts/engines says of a server under `name`, such as LIKENESS_TEST_S3_ENDPOINT: from the environment, or else
// from the file that it wrote. Nothing where that server was not started.
inline std::optional<std::string> EngineSetting(const std::string& name) {
  if (const char* value = std::getenv(name.c_str())) return value;
  std::ifstream file(EnginesFolder() + "/env");
  const std::string start = "export " + name + "=";
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(start)) return line.substr(start.size());
  }
  return std::nullopt;
}

// scripts/engines `arguments`, such as "restart s3" or "kill nats 2", on those servers. True when it succeeded.
inline bool Engines(const std::string& arguments) {
  const std::string command = LIKENESS_SOURCE_DIR "/scripts/engines " + arguments + " --at '" + EnginesFolder() + "'";
  return std::system(command.c_str()) == 0;
}

}  // namespace likeness

// Skips the test where the server is not there.
#define LIKENESS_REQUIRE_ENGINE(name) \
  if (!likeness::EngineSetting(name)) \
  GTEST_SKIP() << "no engines: scripts/engines start --at " << likeness::EnginesFolder()
