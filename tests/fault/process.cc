#include "tests/fault/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iostream>
#include <sstream>

namespace likeness {

nlohmann::json ProcessResult::LastLine() const {
  const size_t end = output.find_last_not_of('\n');
  if (end == std::string::npos) return nullptr;
  const size_t begin = output.rfind('\n', end);
  return nlohmann::json::parse(output.substr(begin == std::string::npos ? 0 : begin + 1), nullptr, false);
}

ProcessResult RunLikeness(const std::vector<std::string>& arguments,
                          std::optional<std::chrono::microseconds> kill_after) {
  const std::string out =
      (std::filesystem::temp_directory_path() / ("likeness_out_" + std::to_string(::getpid()))).string();
  const auto start = std::chrono::steady_clock::now();
  const pid_t child = ::fork();
  if (child == 0) {
    const int fd = ::open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ::dup2(fd, STDOUT_FILENO);
    if (kill_after) ::dup2(::open("/dev/null", O_WRONLY), STDERR_FILENO);
    std::vector<char*> argv = {const_cast<char*>(LIKENESS_BINARY)};
    for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    ::execv(LIKENESS_BINARY, argv.data());
    ::_exit(127);
  }
  if (kill_after) {
    // A child that ends by itself stays a zombie until it is waited for, so that the signal goes to nobody else.
    ::usleep(static_cast<useconds_t>(kill_after->count()));
    ::kill(child, SIGKILL);
  }
  int status = 0;
  struct rusage usage;
  ::wait4(child, &status, 0, &usage);
  ProcessResult result;
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  result.peak_bytes = static_cast<uint64_t>(usage.ru_maxrss) * 1024;
  std::ifstream file(out);
  std::ostringstream text;
  text << file.rdbuf();
  result.output = text.str();
  std::filesystem::remove(out);
  return result;
}

bool ModelIsMissing() {
  const ProcessResult list = RunLikeness({"model", "list", "--json"});
  const nlohmann::json json = list.LastLine();
  if (json.is_object()) {
    for (const auto& model : json["models"]) {
      if (model["name"] == json["default"]) return false;
    }
  }
  std::cerr << "skipped: the default model is not prepared (scripts/prepare-models)\n";
  return true;
}

}  // namespace likeness
