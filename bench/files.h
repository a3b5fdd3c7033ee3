// The files of the evaluation data.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace likeness {

// Every picture of one of the three sets ("ccp", "products", "clothing"), sorted, from $LIKENESS_DATA or ../shared/data
// beside the source tree. Ends the program with a sentence where it is absent.
std::vector<std::filesystem::path> BenchFiles(const std::string& set);

}  // namespace likeness
