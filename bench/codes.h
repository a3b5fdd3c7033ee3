// Invented binary codes for the benchmarks of the index.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace likeness {

struct CodeSet {
  size_t rows = 1'000'000;
  size_t bits = 256;             // a multiple of 64
  std::string kind = "centers";  // "centers": random ones, rows near them; "latent": signs of random projections of
                                 // points of 24 dimensions in 1,000 groups; "random": no order at all
  size_t centers = 10'000;
  double flip = 0.15;  // of each bit of a center
};

using Codes = std::vector<uint64_t>;

// `count` codes of the set, the same for a seed; different seeds give different rows of the same set.
// Ends the program where the kind is none of them.
Codes MakeCodes(const CodeSet& set, size_t count, uint64_t seed);

// Processor time of the thread: other work on the machine does not count.
double ThreadSeconds();

}  // namespace likeness
