#include "cli/worker_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/descriptor.h"
#include "base/log.h"
#include "cli/work_json.h"

namespace likeness {
namespace {

constexpr int kMaxDeaths =
    500;  // dividing a chunk of 131,072 images down to one costs 4 * 17 deaths for each bad image
constexpr int kPollMs = 50;

// A child of this process, whose standard output comes through a pipe. It is told to stop when this process dies.
class Child {
 public:
  absl::Status Start(const std::vector<std::string>& arguments) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "cannot start a worker");
    output_ = Descriptor(ends[0]);
    const Descriptor write_end(ends[1]);
    std::vector<char*> argv;
    for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    const pid_t parent = ::getpid();
    process_ = ::fork();
    if (process_ < 0) return ErrnoStatus(errno, "cannot start a worker");
    if (process_ == 0) {  // Only calls that are safe after a fork of a process with threads.
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != parent) ::_exit(127);
      ::dup2(write_end.get(), STDOUT_FILENO);
      ::execv("/proc/self/exe", argv.data());
      ::_exit(127);
    }
    return absl::OkStatus();
  }

  // The next whole lines; waits a moment for them. False when the output has ended.
  bool ReadLines(std::vector<std::string>& lines) {
    pollfd ready = {output_.get(), POLLIN, 0};
    if (::poll(&ready, 1, kPollMs) <= 0) return true;
    char buffer[4096];
    const ssize_t size = ::read(output_.get(), buffer, sizeof(buffer));
    if (size < 0) return errno == EINTR || errno == EAGAIN;
    if (size == 0) return false;
    pending_.append(buffer, static_cast<size_t>(size));
    for (size_t end; (end = pending_.find('\n')) != std::string::npos; pending_.erase(0, end + 1)) {
      lines.push_back(pending_.substr(0, end));
    }
    return true;
  }

  void Terminate() const { ::kill(process_, SIGTERM); }

  // The status as waitpid gives it.
  int Wait() const {
    int status = 0;
    while (::waitpid(process_, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
  }

 private:
  pid_t process_ = -1;
  Descriptor output_{-1};
  std::string pending_;
};

// Follows one worker to its end; returns its status as waitpid gives it.
absl::StatusOr<int> Follow(const std::vector<std::string>& arguments, const PlanReport& plan, const RunControl& control,
                           uint64_t before, WorkReport& report, std::string& error) {
  Child child;
  LIKENESS_RETURN_IF_ERROR(child.Start(arguments));
  bool told = false;
  std::vector<std::string> lines;
  for (bool open = true; open; lines.clear()) {
    open = child.ReadLines(lines);
    for (const std::string& line : lines) {
      const nlohmann::json json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
      AddWork(json, report);
      if (!json.is_object()) continue;
      if (json.contains("error")) error = json["error"].value("message", "");
      if (json.contains("done") && json["done"].is_number_unsigned()) {
        control.progress("fingerprint", std::min(before + json["done"].get<uint64_t>(), plan.images), plan.images);
      }
    }
    if (control.stopped() && !told) {
      child.Terminate();
      told = true;
    }
  }
  return child.Wait();
}

}  // namespace

absl::Status RunWorkerProcess(const std::filesystem::path& home, const std::vector<std::string>& arguments,
                              const PlanReport& plan, const RunControl& control, WorkReport& report) {
  std::vector<std::string> command = {"likeness",
                                      "--home",
                                      home.string(),
                                      "--json",
                                      "worker",
                                      "--until-idle",
                                      "--report-progress",
                                      "--total",
                                      std::to_string(plan.images)};
  command.insert(command.end(), arguments.begin(), arguments.end());
  for (int deaths = 0; deaths < kMaxDeaths && !control.stopped(); ++deaths) {
    std::string error;
    LIKENESS_ASSIGN_OR_RETURN(const int status, Follow(command, plan, control, report.decoded, report, error));
    if (WIFEXITED(status)) {
      if (WEXITSTATUS(status) == 0) return absl::OkStatus();
      return absl::InternalError(error.empty() ? "the worker failed" : error);
    }
    const int signal = WTERMSIG(status);
    if (control.stopped() || signal == SIGTERM || signal == SIGINT) return absl::OkStatus();
    Log(LogLevel::kWarning, "worker_died", {{"signal", ::strsignal(signal)}});
  }
  if (control.stopped()) return absl::OkStatus();
  return absl::InternalError("the worker died " + std::to_string(kMaxDeaths) +
                             " times: `likeness status` shows what was found to be the cause");
}

}  // namespace likeness
