#include "cli/progress_bar.h"

#include <unistd.h>

#include <cstdio>

#include "cli/command.h"

namespace likeness {
namespace {

using std::chrono::steady_clock;

constexpr auto kTerminalInterval = std::chrono::milliseconds(100);
constexpr auto kLogInterval = std::chrono::seconds(10);

}  // namespace

ProgressBar::ProgressBar() : terminal_(::isatty(STDERR_FILENO) == 1) {}

ProgressBar::~ProgressBar() { EndLine(); }

void ProgressBar::EndLine() {
  if (line_open_) std::fputc('\n', stderr);
  line_open_ = false;
}

void ProgressBar::Show(std::string_view stage, uint64_t done, uint64_t total) {
  const auto now = steady_clock::now();
  const bool last = total > 0 && done >= total;
  if (stage != stage_) {
    EndLine();
    stage_ = stage;
    stage_start_ = now;
  } else if (!last && now - last_shown_ < (terminal_ ? steady_clock::duration(kTerminalInterval) : kLogInterval)) {
    return;
  }
  if (!terminal_ && !last && done == 0) return;
  last_shown_ = now;
  const double seconds = std::chrono::duration<double>(now - stage_start_).count();
  const double rate = seconds > 0.05 ? static_cast<double>(done) / seconds : 0;
  std::string line = std::string(stage) + " " + std::to_string(done);
  if (total > 0) {
    constexpr int kWidth = 30;
    const double share = static_cast<double>(done) / static_cast<double>(total);
    line += "/" + std::to_string(total);
    if (terminal_) {
      const int filled = static_cast<int>(share * kWidth);
      line += " [" + std::string(filled, '#') + std::string(kWidth - filled, '.') + "]";
    }
    line += " " + std::to_string(static_cast<int>(share * 100)) + "%";
    if (rate > 0 && !last)
      line += ", " + std::to_string(static_cast<int>(static_cast<double>(total - done) / rate)) + " s left";
  }
  if (rate >= 1) line += ", " + std::to_string(static_cast<int>(rate)) + "/s";
  if (terminal_) {
    std::fprintf(stderr, "\r\033[K%s", line.c_str());
    line_open_ = true;
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
}

RunControl ProgressBar::Control() {
  RunControl control;
  control.progress = [this](std::string_view stage, uint64_t done, uint64_t total) { Show(stage, done, total); };
  control.stop = &StopFlag();
  return control;
}

}  // namespace likeness
