// likeness eval floor, likeness train floor, likeness train ranker.
#pragma once

#include "cli/command.h"

namespace likeness {

void AddEvalFloor(Program& program, CLI::App* eval);
void AddTrainFloor(Program& program, CLI::App* train);
void AddTrainRanker(Program& program, CLI::App* train);

}  // namespace likeness
