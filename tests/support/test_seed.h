// The seed of a test's random cases: LIKENESS_TEST_SEED, or always the same.
#pragma once

#include <cstdint>
#include <cstdlib>

namespace likeness {

inline uint64_t TestSeed() {
  const char* text = std::getenv("LIKENESS_TEST_SEED");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : 20261122;
}

}  // namespace likeness
