// Progress on standard error: a bar on a terminal, a line now and then elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "pipeline/progress.h"

namespace likeness {

// One thread at a time. Ends its line when it is destroyed.
class ProgressBar {
 public:
  ProgressBar();
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void Show(std::string_view stage, uint64_t done, uint64_t total);

  // A run control that shows progress here and stops at a signal. The bar must outlive it.
  RunControl Control();

 private:
  void EndLine();

  const bool terminal_;
  std::string stage_;
  std::chrono::steady_clock::time_point stage_start_;
  std::chrono::steady_clock::time_point last_shown_;
  bool line_open_ = false;
};

}  // namespace likeness
