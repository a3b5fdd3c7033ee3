// Pictures in CIE L*a*b*, small enough to look at every pixel many times.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "image/pixels.h"

namespace likeness {

// CIE 1976 L*a*b* under D65: L in [0, 100], a and b within [-128, 128]. Distances are about what people see.
struct Lab {
  float l = 0;
  float a = 0;
  float b = 0;
};

// From sRGB (IEC 61966-2-1), values in [0, 255].
Lab LabOf(float red, float green, float blue);

// The nearest sRGB, clipped to what sRGB has.
std::array<uint8_t, 3> RgbOf(const Lab& lab);

inline float SquaredDistance(const Lab& x, const Lab& y) {
  const float l = x.l - y.l, a = x.a - y.a, b = x.b - y.b;
  return l * l + a * a + b * b;
}

// Row after row.
struct LabPicture {
  uint32_t width = 0;
  uint32_t height = 0;
  std::vector<Lab> lab;
};

// Averages areas so that the longest side is `longest` pixels; a smaller picture keeps its size. No side is below 1.
// REQUIRES: pixels are not empty, longest > 0
LabPicture SmallLabPicture(const Pixels& pixels, uint32_t longest);

}  // namespace likeness
