// `likeness serve` as a process of its own, for benchmarks that ask it over HTTP.
#pragma once

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

#include "bench/report.h"

namespace likeness {

// Runs from construction, which waits until it listens on a free port of 127.0.0.1, to destruction, which waits for its
// end. Ends the benchmark where it does not start. `program`: the path of `likeness`.
class BenchServer {
 public:
  BenchServer(const char* program, const std::filesystem::path& home) {
    int pipe_ends[2];
    if (::pipe(pipe_ends) != 0) BenchFail("cannot make a pipe");
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a benchmark that fails leaves no server behind
      ::dup2(pipe_ends[1], STDOUT_FILENO);
      ::execl(program, "likeness", "--home", home.c_str(), "serve", "--port", "0", nullptr);
      ::_exit(127);
    }
    ::close(pipe_ends[1]);
    std::string line;
    char byte;
    while (::read(pipe_ends[0], &byte, 1) == 1 && byte != '\n') line.push_back(byte);
    ::close(pipe_ends[0]);
    const size_t colon = line.rfind(':');
    if (colon == std::string::npos) BenchFail("the server did not start: " + line);
    port_ = std::atoi(line.c_str() + colon + 1);
  }
  BenchServer(const BenchServer&) = delete;
  BenchServer& operator=(const BenchServer&) = delete;
  ~BenchServer() {
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
  }
  int port() const { return port_; }

  // Processor time that it has used so far.
  double CpuSeconds() const {
    std::ifstream stat("/proc/" + std::to_string(pid_) + "/stat");
    std::string text((std::istreambuf_iterator<char>(stat)), {});
    std::istringstream fields(text.substr(text.rfind(')') + 1));
    std::string skipped;
    for (int i = 0; i < 11; ++i) fields >> skipped;
    double user = 0, system = 0;
    fields >> user >> system;
    return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  }

 private:
  pid_t pid_ = -1;
  int port_ = 0;
};

}  // namespace likeness
