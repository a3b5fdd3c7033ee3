// A collection of a million pictures that nobody took.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace likeness {

// A home at `home` whose model is VGG-16 with seeded weights, read at fc6, with codes of 4096 bits. `jpegs` are added
// as anybody adds them, and `images` made-up ones stand beside them: vectors drawn about the real ones and about random
// points, a hundred in the mean about each, with the codes, segments, graphs, catalog rows, pins and metadata that real
// ones would have, in shards of 200,000 at most. They have no files and no feature shards, which answering does not
// need. The same numbers give the same collection. What is there already stays: 6 GB, made in minutes. Ends the program
// with a sentence when anything fails.
void MakeMillion(const std::filesystem::path& home, const std::vector<std::string>& jpegs, size_t images);

}  // namespace likeness
