// Photographs as JPEG files of one size, made from the evaluation data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace likeness {

// $LIKENESS_DATA, or ../shared/data beside the source tree.
std::filesystem::path BenchDataFolder();

struct BenchPictures {
  size_t count = 48;
  uint32_t width = 1024;
  uint32_t height = 768;
  int quality = 88;
};

// Photographs of ccp/, drawn evenly, their middle enlarged to the size and encoded as baseline JPEG with halved chroma,
// as cameras and shops do. Ends the program with a sentence where the data are absent.
std::vector<std::string> MakeBenchJpegs(const BenchPictures& wanted = {});

// The files of a folder of the evaluation data as they are, drawn evenly by name; all with count 0.
std::vector<std::string> ReadBenchFiles(const std::string& folder, size_t count);

// Seconds of processor time that the calling thread, or the whole process, has used.
double ThreadSeconds();
double ProcessSeconds();

}  // namespace likeness
