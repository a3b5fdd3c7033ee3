// A worker in a process of its own, so that a picture that ends it ends nothing else.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/status.h"
#include "pipeline/plan.h"
#include "pipeline/progress.h"
#include "pipeline/work.h"

namespace likeness {

// Runs `likeness worker --until-idle` for the home until the queue is empty, and again whenever it dies by a signal;
// the queue finds out which picture it was. `arguments` are added to its own. Stops with the control. Errors: what the
// worker said when it failed; Internal when it dies again and again and the queue does not get shorter.
absl::Status RunWorkerProcess(const std::filesystem::path& home, const std::vector<std::string>& arguments,
                              const PlanReport& plan, const RunControl& control, WorkReport& report);

}  // namespace likeness
