#include "cli/command.h"

#include <csignal>

namespace likeness {
namespace {

std::atomic<bool> stop_flag{false};

void OnSignal(int signal) {
  stop_flag.store(true, std::memory_order_relaxed);
  std::signal(signal, SIG_DFL);
}

}  // namespace

CLI::App* Program::Add(const std::string& name, const std::string& description,
                       std::function<absl::StatusOr<CommandOutput>()> body, CLI::App* parent) {
  CLI::App* command = (parent == nullptr ? &app : parent)->add_subcommand(name, description);
  command->fallthrough();
  if (body) command->final_callback([this, body = std::move(body)] { run = body; });
  return command;
}

const std::atomic<bool>& StopFlag() { return stop_flag; }

void HandleSignals() {
  std::signal(SIGINT, OnSignal);
  std::signal(SIGTERM, OnSignal);
  std::signal(SIGPIPE, SIG_IGN);
}

}  // namespace likeness
