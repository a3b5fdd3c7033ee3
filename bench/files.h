// Files that benchmarks read: the evaluation data, and what they have made.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace likeness {

// Every picture of one of the three sets ("ccp", "products", "clothing"), sorted, from $LIKENESS_DATA or ../shared/data
// beside the source tree. Ends the program with a sentence where it is absent.
std::vector<std::filesystem::path> BenchFiles(const std::string& set);

// Reads all files of a folder, so that what is timed next does not wait for a disk: a system may drop pages that nobody
// has used for a while.
void IntoPageCache(const std::filesystem::path& folder);

}  // namespace likeness
