// Weights of convolutions as bf16, so that what rounding does to their sums is small. Each weight is rounded with what
// the errors of others have left to it. All functions: any thread, no errors; what comes out are f32 that bf16 holds
// exactly, in the order of `weights`.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace likeness {

// The errors of the `taps` of one kernel cancel: what rounding takes from one it gives the next smaller, so that what
// is left in the end is a small part of the smallest. They are multiplied with neighbouring pixels, which are much
// alike, so that the sum of the errors matters more than each. `weights`: whole kernels, one after another.
std::vector<float> RoundedKernels(std::span<const float> weights, size_t taps);

// The errors of all weights of an output cancel as far as their inputs go together. `weights` [outputs, depth];
// `moments` [depth, depth]: the means of the inputs' products with each other, of which the upper half is read and
// written over. An output's error e costs e' * moments * e; with moments = U' * D * U, U unit upper triangular, that is
// the sum of D * (U * e)^2, and one number of U * e after another, from the last, is made as small as its weight can
// make it (as L. Babai does it: "On Lovasz' lattice reduction and the nearest lattice point problem", 1986).
std::vector<float> RoundedByMoments(std::span<const float> weights, size_t outputs, std::vector<float> moments);

}  // namespace likeness
