// Kernels at every level that this processor has. The seed of the random cases is printed with a failure and can be set
// with LIKENESS_TEST_SEED.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/random.h"
#include "kernel/cpu.h"
#include "support/test_seed.h"

namespace likeness {

// Runs the test once for each level, with the same random cases.
class AtLevel : public testing::TestWithParam<CpuLevel> {
 protected:
  ForceCpuLevelForTest force_{GetParam()};
  Random random_{TestSeed()};
  testing::ScopedTrace trace_{__FILE__, __LINE__, "LIKENESS_TEST_SEED=" + std::to_string(TestSeed())};

  std::vector<uint64_t> Words(size_t n) {
    std::vector<uint64_t> words(n);
    for (uint64_t& word : words) word = random_();
    return words;
  }
};

}  // namespace likeness

// The suite `name`, derived from AtLevel, at every level.
#define LIKENESS_AT_EVERY_LEVEL(name)                                                                             \
  INSTANTIATE_TEST_SUITE_P(                                                                                       \
      Cpu, name, testing::ValuesIn(likeness::AvailableCpuLevels().begin(), likeness::AvailableCpuLevels().end()), \
      [](const auto& info) { return std::string(likeness::CpuLevelName(info.param)); })
