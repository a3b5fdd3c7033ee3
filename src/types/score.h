// Score and distance, two types so that neither is taken for the other.
#pragma once

#include <compare>
#include <cstdint>

namespace likeness {

// Cosine of two vectors, or how well a wish is met, in [-1, 1]; larger is better.
struct Score {
  float value = 0;
  friend auto operator<=>(const Score&, const Score&) = default;
};

// Hamming distance in bits, in [0, code bits]; smaller is nearer.
struct Distance {
  uint32_t bits = 0;
  friend auto operator<=>(const Distance&, const Distance&) = default;
};

}  // namespace likeness
