// A collection of a million pictures that nobody took.
#pragma once

#include <cstddef>
#include <filesystem>
#include <vector>

namespace likeness {

// A home at `home` whose model is VGG-16 with seeded weights, read at fc6, with codes of 4096 bits: `pictures` are
// added as anybody adds them, and `images` made-up ones stand beside them in segments of 200,000 at most, clustered
// codes with vectors of the same signs, the same for the same numbers. They have no files, and the catalog does not
// know them. What is there already stays. Ends the program with a sentence when anything fails.
void MakeMillion(const std::filesystem::path& home, const std::vector<std::filesystem::path>& pictures, size_t images);

}  // namespace likeness
