// The bodies of SiftPasses, compiled once for each CpuLevel by sift_passes.cc, which sets SIFT_LANES (floats in a
// vector) and the namespace around. No function here may be inlined from a library: it would be compiled for the level
// and could be the one that the linker keeps for everybody.

typedef float Floats __attribute__((vector_size(4 * SIFT_LANES)));
typedef int32_t Ints __attribute__((vector_size(4 * SIFT_LANES)));

inline Floats Load(const float* from) {
  Floats v;
  __builtin_memcpy(&v, from, sizeof(v));
  return v;
}

inline void Store(float* to, Floats v) { __builtin_memcpy(to, &v, sizeof(v)); }

inline Floats Fill(float value) { return value - Floats{}; }

inline Floats Smaller(Floats a, Floats b) { return a < b ? a : b; }
inline Floats Larger(Floats a, Floats b) { return a > b ? a : b; }
inline Floats Absolute(Floats a) { return Larger(a, -a); }

inline Floats SquareRoot(Floats v) {
#if SIFT_LANES == 16
  return (Floats)_mm512_sqrt_ps((__m512)v);
#elif SIFT_LANES == 8
  return (Floats)_mm256_sqrt_ps((__m256)v);
#else
  Floats out;
  for (int i = 0; i < SIFT_LANES; ++i) out[i] = __builtin_sqrtf(v[i]);
  return out;
#endif
}

// data[index[i]] in each lane.
inline Floats Gather(const float* data, Ints index) {
#if SIFT_LANES == 16
  return (Floats)_mm512_i32gather_ps((__m512i)index, data, 4);
#elif SIFT_LANES == 8
  return (Floats)_mm256_i32gather_ps(data, (__m256i)index, 4);
#else
  Floats out;
  for (int i = 0; i < SIFT_LANES; ++i) out[i] = data[index[i]];
  return out;
#endif
}

// Bit i tells whether a[i] >= b[i].
inline unsigned AtLeast(Floats a, Floats b) {
#if SIFT_LANES == 16
  return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GE_OQ);
#elif SIFT_LANES == 8
  return static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_GE_OQ)));
#else
  unsigned mask = 0;
  for (int i = 0; i < SIFT_LANES; ++i) mask |= static_cast<unsigned>(a[i] >= b[i]) << i;
  return mask;
#endif
}

void GrayRow(const uint8_t* rgb, int width, float* out) {
  for (int x = 0; x < width; ++x, rgb += 3) {
    // ITU-R BT.601, in 1/16384ths; exact in float.
    out[x] = static_cast<float>(4899 * rgb[0] + 9617 * rgb[1] + 1868 * rgb[2]) * (1.0f / 16384);
  }
}

void DoubleRow(const float* row, const float* other, int width, float* scratch, float* out) {
  float* between = scratch + 1;
  const Floats near = Fill(0.75f), far = Fill(0.25f);
  for (int x = 0; x < width; x += SIFT_LANES) {
    Store(between + x, near * Load(row + x) + far * Load(other + x));
  }
  between[-1] = between[0];
  between[width] = between[width - 1];
  for (int x = 0; x < width; ++x) {
    out[2 * x] = 0.25f * between[x - 1] + 0.75f * between[x];
    out[2 * x + 1] = 0.75f * between[x] + 0.25f * between[x + 1];
  }
}

// `vectors` neighboring vectors at once, so that a weight is spread once for all.
template <int vectors>
inline void SumRows(const float* const* rows, const BlurFilter& filter, int x, float* out) {
  const int radius = filter.radius;
  Floats sum[vectors];
  Floats weight = Fill(filter.weights[0]);
  for (int v = 0; v < vectors; ++v) sum[v] = weight * Load(rows[radius] + x + v * SIFT_LANES);
  for (int k = 1; k <= radius; ++k) {
    const float *above = rows[radius - k] + x, *below = rows[radius + k] + x;
    weight = Fill(filter.weights[k]);
    for (int v = 0; v < vectors; ++v) {
      sum[v] += weight * (Load(above + v * SIFT_LANES) + Load(below + v * SIFT_LANES));
    }
  }
  for (int v = 0; v < vectors; ++v) Store(out + x + v * SIFT_LANES, sum[v]);
}

template <int vectors>
inline void SumColumns(const float* row, const BlurFilter& filter, int x, float* out) {
  Floats sum[vectors];
  Floats weight = Fill(filter.weights[0]);
  for (int v = 0; v < vectors; ++v) sum[v] = weight * Load(row + x + v * SIFT_LANES);
  for (int k = 1; k <= filter.radius; ++k) {
    weight = Fill(filter.weights[k]);
    for (int v = 0; v < vectors; ++v) {
      sum[v] += weight * (Load(row + x + v * SIFT_LANES - k) + Load(row + x + v * SIFT_LANES + k));
    }
  }
  for (int v = 0; v < vectors; ++v) Store(out + x + v * SIFT_LANES, sum[v]);
}

void BlurRow(const float* const* rows, const BlurFilter& filter, int width, float* scratch, float* out) {
  constexpr int kStep = 4 * SIFT_LANES;
  float* row = scratch + kRowSlack;
  int x = 0;
  for (; x + kStep <= width; x += kStep) SumRows<4>(rows, filter, x, row);
  for (; x < width; x += SIFT_LANES) SumRows<1>(rows, filter, x, row);
  for (int k = 1; k <= filter.radius; ++k) {
    row[-k] = row[0];
    row[width - 1 + k] = row[width - 1];
  }
  x = 0;
  for (; x + kStep <= width; x += kStep) SumColumns<4>(row, filter, x, out);
  for (; x < width; x += SIFT_LANES) SumColumns<1>(row, filter, x, out);
}

void SubtractRow(const float* a, const float* b, int width, float* out) {
  for (int x = 0; x < width; x += SIFT_LANES) Store(out + x, Load(a + x) - Load(b + x));
}

int FindExtrema(const float* const* rows, float threshold, int begin, int end, int* out) {
  constexpr unsigned kAll = (1u << SIFT_LANES) - 1;
  // Neighbors in the order in which they rule most out: left and right, above and below, then the corners and scales.
  static constexpr signed char kNeighbors[26][2] = {
      {4, -1}, {4, 1}, {3, 0}, {5, 0}, {3, -1}, {3, 1},  {5, -1}, {5, 1},  {1, 0}, {7, 0},  {1, -1}, {1, 1},  {7, -1},
      {7, 1},  {0, 0}, {2, 0}, {6, 0}, {8, 0},  {0, -1}, {0, 1},  {2, -1}, {2, 1}, {6, -1}, {6, 1},  {8, -1}, {8, 1}};
  int found = 0;
  const Floats high = Fill(threshold), low = Fill(-threshold);
  for (int x = begin; x < end; x += SIFT_LANES) {
    const Floats value = Load(rows[4] + x);
    unsigned largest = AtLeast(value, high), smallest = AtLeast(low, value);
    if ((largest | smallest) == 0) continue;
    for (int n = 0; n < 26 && (largest | smallest) != 0; ++n) {
      const Floats neighbor = Load(rows[kNeighbors[n][0]] + x + kNeighbors[n][1]);
      largest &= AtLeast(value, neighbor);
      smallest &= AtLeast(neighbor, value);
    }
    unsigned mask = (largest | smallest) & kAll;
    if (end - x < SIFT_LANES) mask &= (1u << (end - x)) - 1;
    for (; mask != 0; mask &= mask - 1) out[found++] = x + __builtin_ctz(mask);
  }
  return found;
}

// The direction of (x, y) as a share of a full turn, in [0, 1]; within 2e-6. 0 where both are 0.
inline Floats Turn(Floats x, Floats y) {
  const Floats ax = Absolute(x), ay = Absolute(y);
  const Floats t = Smaller(ax, ay) / Larger(Larger(ax, ay), Fill(1e-30f));
  const Floats s = t * t;
  // Least squares over [0, 1], reweighted towards an even error.
  Floats turn = Fill(0.00331748394f);
  turn = turn * s + Fill(-0.01355284299f);
  turn = turn * s + Fill(0.02867313674f);
  turn = turn * s + Fill(-0.05256963055f);
  turn = (turn * s + Fill(0.15913367083f)) * t;
  turn = ay > ax ? 0.25f - turn : turn;
  turn = x < Floats{} ? 0.5f - turn : turn;
  return y < Floats{} ? 1.0f - turn : turn;
}

void SamplePatch(const Plane& plane, const PatchPlace& place, Patch& patch) {
  const Floats zero = {};
  const Floats right = Fill(static_cast<float>(plane.width - 1)), bottom = Fill(static_cast<float>(plane.height - 1));
  const Ints last_column = Ints{} + (plane.width - 1), last_row = Ints{} + (plane.height - 1);
  const Ints stride = Ints{} + plane.stride;
  Floats lanes;
  for (int i = 0; i < SIFT_LANES; ++i) lanes[i] = static_cast<float>(i);
  const float dx = place.cos * place.step, dy = place.sin * place.step;
  constexpr float kMiddle = (kPatchRows - 1) / 2.0f;
  for (int r = 0; r < kPatchRows; ++r) {
    const float v = static_cast<float>(r) - kMiddle;
    for (int c = 0; c < kPatchRows; c += SIFT_LANES) {
      const Floats u = lanes + (static_cast<float>(c) - kMiddle);
      Floats x = place.x + u * dx - v * dy, y = place.y + u * dy + v * dx;
      x = Smaller(Larger(x, zero), right);
      y = Smaller(Larger(y, zero), bottom);
      const Ints left = __builtin_convertvector(x, Ints), top = __builtin_convertvector(y, Ints);
      const Floats fx = x - __builtin_convertvector(left, Floats), fy = y - __builtin_convertvector(top, Floats);
      const Ints next_x = left < last_column ? left + 1 : left, next_y = top < last_row ? top + 1 : top;
      const Ints row = top * stride, next_row = next_y * stride;
      const Floats a = Gather(plane.data, row + left), b = Gather(plane.data, row + next_x);
      const Floats d = Gather(plane.data, next_row + left), e = Gather(plane.data, next_row + next_x);
      const Floats upper = a + fx * (b - a), lower = d + fx * (e - d);
      Store(patch.samples + r * kPatchStride + c, upper + fy * (lower - upper));
    }
  }
  for (int r = 0; r < kPatchSide; ++r) {
    for (int c = 0; c < kPatchSide; c += SIFT_LANES) {
      const float* at = patch.samples + (r + 1) * kPatchStride + c + 1;
      const Floats gx = Load(at + 1) - Load(at - 1), gy = Load(at + kPatchStride) - Load(at - kPatchStride);
      Store(patch.magnitude + r * kPatchStride + c, SquareRoot(gx * gx + gy * gy));
      Store(patch.turn + r * kPatchStride + c, Turn(gx, gy));
    }
  }
}

void PoolPatch(const Patch& patch, const PoolWeights& weights, float* descriptor) {
  const Floats zero = {}, one = Fill(1);
  // Rows first: by orientation and spatial row, a row of sums.
  alignas(64) float sums[kOrientationBins][kSpatialBins][kPatchStride] = {};
  for (int r = 0; r < kPatchSide; ++r) {
    for (int c = 0; c < kPatchSide; c += SIFT_LANES) {
      const Floats magnitude = Load(patch.magnitude + r * kPatchStride + c);
      const Floats bin = Load(patch.turn + r * kPatchStride + c) * static_cast<float>(kOrientationBins);
      for (int o = 0; o < kOrientationBins; ++o) {
        Floats near = Larger(one - Absolute(bin - static_cast<float>(o)), zero);
        if (o == 0) near += Larger(bin - static_cast<float>(kOrientationBins - 1), zero);  // a full turn is none
        const Floats share = magnitude * near;
        for (int b = 0; b < kSpatialBins; ++b) {
          const float weight = weights.rows[r][b];
          if (weight == 0) continue;
          float* sum = &sums[o][b][c];
          Store(sum, Load(sum) + weight * share);
        }
      }
    }
  }
  // Then columns: the four spatial columns are the lanes.
  typedef float Four __attribute__((vector_size(16)));
  for (int o = 0; o < kOrientationBins; ++o) {
    for (int b = 0; b < kSpatialBins; ++b) {
      Four sum = {};
      for (int c = 0; c < kPatchSide; ++c) {
        Four weight;
        __builtin_memcpy(&weight, weights.columns[c], sizeof(weight));
        sum += sums[o][b][c] * weight;
      }
      for (int column = 0; column < kSpatialBins; ++column) {
        descriptor[(b * kSpatialBins + column) * kOrientationBins + o] = sum[column];
      }
    }
  }
}

constexpr SiftPasses kPasses = {GrayRow, DoubleRow, BlurRow, SubtractRow, FindExtrema, SamplePatch, PoolPatch};
