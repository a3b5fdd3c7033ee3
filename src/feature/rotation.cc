#include "feature/rotation.h"

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "base/thread_pool.h"
#include "kernel/dot.h"

namespace likeness {
namespace {

// out += a[0] * rows[0] + ... + a[3] * rows[3], the rows being `stride` floats apart.
[[gnu::always_inline]] inline void AddRowsBody(const float* a, const float* rows, size_t stride, float* __restrict out,
                                               size_t n) {
  const float *r0 = rows, *r1 = r0 + stride, *r2 = r1 + stride, *r3 = r2 + stride;
  for (size_t i = 0; i < n; ++i) out[i] += (a[0] * r0[i] + a[1] * r1[i]) + (a[2] * r2[i] + a[3] * r3[i]);
}

void AddRowsPlain(const float* a, const float* rows, size_t stride, float* out, size_t n) {
  AddRowsBody(a, rows, stride, out, n);
}

#if defined(__x86_64__)
// AVX2 has no fused multiply-add in itself, so this gives the same floats as the plain one.
[[gnu::target("avx2")]] void AddRowsAvx2(const float* a, const float* rows, size_t stride, float* out, size_t n) {
  AddRowsBody(a, rows, stride, out, n);
}
const auto AddRows = __builtin_cpu_supports("avx2") ? AddRowsAvx2 : AddRowsPlain;
#else
const auto AddRows = AddRowsPlain;
#endif

// left [rows, inner] times right [inner, columns]. The number of threads does not change the result.
std::vector<float> Multiply(std::span<const float> left, std::span<const float> right, size_t inner) {
  const size_t rows = left.size() / inner, columns = right.size() / inner;
  std::vector<float> product(rows * columns);
  constexpr size_t kBlock = 64;  // rows of the right side that stay in the cache
  constexpr size_t kTask = 32;   // rows of the product
  ParallelFor((rows + kTask - 1) / kTask, AvailableThreads(), [&](size_t task) {
    for (size_t block = 0; block < inner; block += kBlock) {
      const size_t block_end = std::min(inner, block + kBlock);
      for (size_t row = task * kTask; row < std::min(rows, (task + 1) * kTask); ++row) {
        float* out = &product[row * columns];
        const float* a = &left[row * inner];
        size_t k = block;
        for (; k + 4 <= block_end; k += 4) AddRows(a + k, &right[k * columns], columns, out, columns);
        for (; k < block_end; ++k) {
          for (size_t i = 0; i < columns; ++i) out[i] += a[k] * right[k * columns + i];
        }
      }
    }
  });
  return product;
}

std::vector<float> Transposed(std::span<const float> matrix, size_t columns) {
  const size_t rows = matrix.size() / columns;
  std::vector<float> out(matrix.size());
  for (size_t i = 0; i < rows; ++i) {
    for (size_t j = 0; j < columns; ++j) out[j * rows + i] = matrix[i * columns + j];
  }
  return out;
}

// Makes row `at` of a block orthogonal to the rows before it and of length 1 (Gram and Schmidt, twice: L. Giraud et
// al., "The loss of orthogonality in the Gram-Schmidt orthogonalization process", 2005). False when nothing is left.
bool OrthonormaliseRow(std::vector<float>& rows, size_t first, size_t at, size_t dimension) {
  const std::span<float> row(&rows[at * dimension], dimension);
  std::vector<float> dots;
  for (int pass = 0; pass < 2; ++pass) {
    dots.clear();
    for (size_t j = first; j < at; ++j) dots.push_back(-DotFloat({&rows[j * dimension], dimension}, row));
    size_t j = 0;
    for (; j + 4 <= dots.size(); j += 4) {
      AddRows(&dots[j], &rows[(first + j) * dimension], dimension, row.data(), dimension);
    }
    for (; j < dots.size(); ++j) {
      for (size_t i = 0; i < dimension; ++i) row[i] += dots[j] * rows[(first + j) * dimension + i];
    }
    const float length = std::sqrt(SquaredNormFloat(row));
    if (!(length > 1e-5f)) return false;
    for (float& value : row) value /= length;
  }
  return true;
}

// Orthonormal rows in blocks of `dimension`; a row that depends on those before it is replaced by a random one.
void Orthonormalise(std::vector<float>& rows, size_t dimension, Random& random) {
  for (size_t at = 0; at < rows.size() / dimension; ++at) {
    const std::span<float> row(&rows[at * dimension], dimension);
    // All rows begin with a length of about 1, so that "nothing is left" means the same for each.
    const float length = std::sqrt(SquaredNormFloat(row));
    for (float& value : row) value = length > 0 ? value / length : 0;
    while (!OrthonormaliseRow(rows, at / dimension * dimension, at, dimension)) {
      for (float& value : row) value = static_cast<float>(random.Normal() / std::sqrt(static_cast<double>(dimension)));
    }
  }
}

std::vector<float> NormalRows(size_t rows, size_t dimension, Random& random) {
  std::vector<float> out(rows * dimension);
  for (float& value : out) value = static_cast<float>(random.Normal());
  return out;
}

}  // namespace

std::vector<float> RandomRotation(size_t rows, size_t dimension, uint64_t seed) {
  Random random(seed);
  std::vector<float> rotation = NormalRows(rows, dimension, random);
  Orthonormalise(rotation, dimension, random);
  return rotation;
}

std::vector<float> PrincipalRotation(std::span<const float> centered, size_t rows, size_t dimension, uint64_t seed) {
  constexpr size_t kMaxSample = 4096;
  const size_t count = centered.size() / dimension, sampled = std::min(count, kMaxSample);
  std::vector<float> sample;
  sample.reserve(sampled * dimension);
  for (size_t i = 0; i < sampled; ++i) {
    const auto row = centered.subspan(i * count / sampled * dimension, dimension);
    sample.insert(sample.end(), row.begin(), row.end());
  }
  const std::vector<float> covariance = Multiply(Transposed(sample, dimension), sample, sampled);
  // Orthogonal iteration: the random rows turn towards the largest axes. Single axes need not have settled, since the
  // rows are mixed at the end anyway.
  constexpr int kIterations = 5;
  Random random(seed);
  std::vector<float> axes = NormalRows(rows, dimension, random);
  for (int i = 0; i < kIterations; ++i) {
    axes = Multiply(axes, covariance, dimension);
    Orthonormalise(axes, dimension, random);
  }
  std::vector<float> rotation = Multiply(RandomRotation(rows, rows, random()), axes, rows);
  Orthonormalise(rotation, dimension, random);
  return rotation;
}

}  // namespace likeness
