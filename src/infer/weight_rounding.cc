#include "infer/weight_rounding.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>

#include "infer/share_work.h"

namespace likeness {
namespace {

// The compiler makes one version for each kind of processor.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_THREAD__) && \
    !defined(__SANITIZE_ADDRESS__)
#define LIKENESS_CLONES __attribute__((target_clones("default", "arch=haswell", "arch=skylake-avx512"), optimize("O3")))
#else
#define LIKENESS_CLONES
#endif

constexpr size_t kRows = 8;                  // that are subtracted at once
constexpr size_t kFew = 32;                  // weights of a kernel that are put in order one by one
constexpr size_t kShared = size_t{1} << 18;  // weights from which on several threads round them

float Rounded(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  return std::bit_cast<float>((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u);
}

// to[i] += sum of factors[r] * rows[r * apart + i].
LIKENESS_CLONES void AddRows(const float* rows, size_t apart, const float* factors, size_t count, float* to) {
  const float *const a = rows, *const b = a + apart, *const c = b + apart, *const d = c + apart;
  const float *const e = d + apart, *const f = e + apart, *const g = f + apart, *const h = g + apart;
  for (size_t i = 0; i < count; ++i) {
    to[i] += factors[0] * a[i] + factors[1] * b[i] + factors[2] * c[i] + factors[3] * d[i] + factors[4] * e[i] +
             factors[5] * f[i] + factors[6] * g[i] + factors[7] * h[i];
  }
}

LIKENESS_CLONES void AddRow(const float* row, float factor, size_t count, float* to) {
  for (size_t i = 0; i < count; ++i) to[i] += factor * row[i];
}

// The upper half of moments = U' * D * U becomes U, in place, row by row; D is not kept.
void Factorize(size_t depth, float* moments) {
  for (size_t first = 0; first < depth; first += kRows) {
    const size_t last = std::min(first + kRows, depth);
    float* const rows = moments + first * depth;
    float diagonal[kRows] = {};
    for (size_t k = first; k < last; ++k) {
      float* const row = moments + k * depth;
      for (size_t above = first; above < k; ++above) {
        const float* const from = moments + above * depth;
        AddRow(from + k, -from[k] * diagonal[above - first], depth - k, row + k);
      }
      diagonal[k - first] = row[k];
      const float inverse = row[k] > 0 ? 1 / row[k] : 0;
      for (size_t i = k; i < depth; ++i) row[i] *= inverse;
      row[k] = 1;
    }
    for (size_t i = last; i < depth; ++i) {
      float factors[kRows];
      for (size_t r = 0; r < last - first; ++r) factors[r] = -rows[r * depth + i] * diagonal[r];
      float* const to = moments + i * depth + i;
      if (last - first == kRows) AddRows(rows + i, depth, factors, depth - i, to);
    }
  }
}

uint32_t SizeOf(const float* weight) { return std::bit_cast<uint32_t>(*weight) & 0x7fffffffu; }  // of a NaN too

// Largest first, those of one size in their order.
void SortBySize(std::span<float*> kernel) {
  if (kernel.size() > kFew) {
    std::ranges::stable_sort(kernel, std::ranges::greater(), SizeOf);
    return;
  }
  for (size_t i = 1; i < kernel.size(); ++i) {
    float* const weight = kernel[i];
    const uint32_t size = SizeOf(weight);
    size_t at = i;
    for (; at > 0 && SizeOf(kernel[at - 1]) < size; --at) kernel[at] = kernel[at - 1];
    kernel[at] = weight;
  }
}

// In the order given; the last takes what the others leave.
void RoundKernel(std::span<float* const> kernel) {
  float carry = 0;
  for (float* const weight : kernel) {
    const float wanted = *weight + carry, given = Rounded(wanted);
    carry = std::isfinite(given) ? wanted - given : 0;
    *weight = given;
  }
}

}  // namespace

std::vector<float> RoundedKernels(std::span<const float> weights, size_t taps) {
  std::vector<float> rounded(weights.begin(), weights.end());
  const size_t kernels = rounded.size() / taps, threads = rounded.size() < kShared ? 1 : WorkThreads();
  std::vector<float*> order(threads * taps);
  ShareWork(threads, [&](size_t thread) {
    const Share share = ShareOf(kernels, 1, thread, threads);
    const std::span<float*> kernel = std::span(order).subspan(thread * taps, taps);
    for (size_t k = share.first; k < share.last; ++k) {
      for (size_t i = 0; i < taps; ++i) kernel[i] = &rounded[k * taps + i];
      SortBySize(kernel);
      RoundKernel(kernel);
    }
  });
  return rounded;
}

std::vector<float> RoundedByMoments(std::span<const float> weights, size_t outputs, std::vector<float> moments) {
  const size_t depth = weights.size() / outputs;
  Factorize(depth, moments.data());
  std::vector<float> rounded(weights.size()), wanted(outputs);
  std::vector<float> errors((depth + kRows) * outputs);  // [depth, outputs]
  for (size_t i = depth; i-- > 0;) {
    for (size_t o = 0; o < outputs; ++o) wanted[o] = weights[o * depth + i];
    const float* const factors = &moments[i * depth];
    size_t j = i + 1;
    for (; j + kRows <= depth; j += kRows) AddRows(&errors[j * outputs], outputs, factors + j, outputs, wanted.data());
    for (; j < depth; ++j) AddRow(&errors[j * outputs], factors[j], outputs, wanted.data());
    for (size_t o = 0; o < outputs; ++o) {
      const float given = Rounded(wanted[o]), error = weights[o * depth + i] - given;
      rounded[o * depth + i] = given;
      errors[i * outputs + o] = std::isfinite(error) ? error : 0;
    }
  }
  return rounded;
}

}  // namespace likeness
