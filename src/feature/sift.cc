#include "feature/sift.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <tuple>

#include "base/thread_pool.h"
#include "feature/sift_passes.h"
#include "image/resample.h"

namespace likeness {
namespace {

constexpr int kScales = 3;            // in an octave
constexpr int kLevels = kScales + 3;  // blurred planes that they need
constexpr int kDifferences = kLevels - 1;
constexpr double kSigma = 1.6;       // blur of an octave's first level
constexpr double kInputSigma = 0.5;  // blur that a picture is taken to have
constexpr int kBorder = 5;           // pixels of a plane without keypoints
constexpr int kSmallestSide = 12;    // of a plane that is looked at
constexpr int kRefinements = 5;
constexpr int kHistogramBins = 36;
constexpr double kSecondPeak = 0.8;    // of the strongest direction: another keypoint
constexpr float kLargestShare = 0.2f;  // of a descriptor's length in one sum, before it is made short again
constexpr float kDescriptorLength = 512;

constexpr double kMiddle = (kPatchSide - 1) / 2.0;  // of a patch

// Gaussian, cut where it is of no weight.
BlurFilter MakeBlur(double sigma) {
  BlurFilter filter;
  filter.radius = std::clamp(static_cast<int>(std::ceil(3 * sigma)), 1, kMaxBlurRadius);
  std::array<double, kMaxBlurRadius + 1> weights = {};
  double sum = 0;
  for (int k = 0; k <= filter.radius; ++k) {
    weights[static_cast<size_t>(k)] = std::exp(-k * k / (2 * sigma * sigma));
    sum += weights[static_cast<size_t>(k)] * (k == 0 ? 1 : 2);
  }
  for (int k = 0; k <= filter.radius; ++k) {
    filter.weights[k] = static_cast<float>(weights[static_cast<size_t>(k)] / sum);
  }
  return filter;
}

// Everything that depends on no picture.
struct Constants {
  BlurFilter first, first_doubled;        // from the picture to the first level
  std::array<BlurFilter, kLevels> level;  // from the level before
  std::array<int, kLevels> lag;           // rows by which a level follows the first one
  PoolWeights pool;
  std::array<float, kPatchSide> window;  // of the histogram of directions

  Constants() {
    first = MakeBlur(std::sqrt(kSigma * kSigma - kInputSigma * kInputSigma));
    first_doubled = MakeBlur(std::sqrt(kSigma * kSigma - 4 * kInputSigma * kInputSigma));
    lag[0] = 0;
    for (size_t i = 1; i < kLevels; ++i) {
      const double before = kSigma * std::exp2(static_cast<double>(i - 1) / kScales);
      level[i] = MakeBlur(before * std::sqrt(std::exp2(2.0 / kScales) - 1));
      lag[i] = lag[i - 1] + level[i].radius;
    }
    for (int i = 0; i < kPatchSide; ++i) {
      const double u = (i - kMiddle) * kBinsAcross / kPatchSide;  // in spatial bins
      for (int b = 0; b < kSpatialBins; ++b) {
        const double near = std::max(0.0, 1 - std::abs(u - (b - (kSpatialBins - 1) / 2.0)));
        const auto weight = static_cast<float>(near * std::exp(-u * u / (2 * 2 * 2)));
        pool.rows[i][b] = pool.columns[i][b] = weight;
      }
      const double v = (i - kMiddle) * kHistogramStep;  // in sigmas
      window[static_cast<size_t>(i)] = static_cast<float>(std::exp(-v * v / (2 * 1.5 * 1.5)));
    }
  }

  static constexpr double kBinsAcross = kSpatialBins + 1;                         // bins that a patch spans
  static constexpr double kBinSize = 3;                                           // sigmas
  static constexpr double kDescriptorStep = kBinSize * kBinsAcross / kPatchSide;  // sigmas from a sample to the next
  static constexpr double kHistogramStep = 9.0 / kPatchSide;                      // sigmas
};

const Constants& TheConstants() {
  static const Constants constants;
  return constants;
}

struct Octave {
  std::array<Plane, kLevels> level;
  float DifferenceAt(int d, int y, int x) const {
    return level[static_cast<size_t>(d) + 1].row(y)[x] - level[static_cast<size_t>(d)].row(y)[x];
  }
};

struct Candidate {
  int x = 0, y = 0, difference = 0;  // a difference lies between levels `difference` and `difference` + 1
};

struct Extremum {
  float response = 0;
  int octave = 0, level = 0, y = 0, x = 0;  // of the pixel that it is nearest to
  float at_x = 0, at_y = 0;                 // pixels of the octave's planes
  float sigma = 0;                          // the same

  auto Order() const { return std::tuple(-response, octave, level, y, x); }
};

// What a thread keeps from one picture to the next.
struct Scratch {
  std::vector<float> planes, rows;
  std::vector<int> columns;
  std::vector<Candidate> candidates;
  std::vector<Extremum> extrema;
  std::vector<Octave> octaves;
  Patch patch = {};
};

Plane TakePlane(float*& from, int width, int height) {
  Plane plane{from, width, height, (width + kRowSlack + 15) / 16 * 16};
  from += static_cast<size_t>(plane.stride) * static_cast<size_t>(height);
  return plane;
}

class Detector {
 public:
  Detector(const SiftOptions& options, Scratch& scratch)
      : options_(options), constants_(TheConstants()), passes_(ActiveSiftPasses()), scratch_(scratch) {}

  absl::StatusOr<LocalFeatures> Run(const Pixels& pixels) {
    MakeOctaves(static_cast<int>(pixels.width), static_cast<int>(pixels.height));
    scratch_.extrema.clear();
    for (size_t o = 0; o < scratch_.octaves.size(); ++o) {
      scratch_.candidates.clear();
      FillOctave(pixels, o);
      for (const Candidate& candidate : scratch_.candidates) Refine(static_cast<int>(o), candidate);
    }
    std::vector<Extremum>& extrema = scratch_.extrema;
    std::ranges::sort(extrema, {}, &Extremum::Order);
    const auto same = std::ranges::unique(extrema, {}, &Extremum::Order);
    extrema.erase(same.begin(), same.end());

    LocalFeatures features;
    frame_scale_ =
        (options_.doubled ? 0.5f : 1.0f) * kLocalFrame / static_cast<float>(std::max(pixels.width, pixels.height));
    DescribeAll(features);
    return features;
  }

 private:
  void MakeOctaves(int width, int height) {
    scratch_.octaves.clear();
    if (options_.doubled) width *= 2, height *= 2;
    const auto floats = [](int w, int h) {
      return static_cast<size_t>(w + kRowSlack + 16) * static_cast<size_t>(h) * kLevels;
    };
    size_t size = kRowSlack;
    for (int w = width, h = height; std::min(w, h) >= kSmallestSide; w /= 2, h /= 2) size += floats(w, h);
    if (scratch_.planes.size() < size) scratch_.planes.assign(size, 0);
    float* from = scratch_.planes.data() + kRowSlack / 2;
    for (int w = width, h = height; std::min(w, h) >= kSmallestSide; w /= 2, h /= 2) {
      Octave octave;
      for (Plane& plane : octave.level) plane = TakePlane(from, w, h);
      scratch_.octaves.push_back(octave);
    }
    const size_t row = static_cast<size_t>(width) + 3 * kRowSlack;
    if (scratch_.rows.size() < row * 18) scratch_.rows.assign(row * 18, 0);
    scratch_.columns.resize(static_cast<size_t>(width) + 16);
  }

  float* Row(size_t i) {
    const size_t stride = scratch_.rows.size() / 18 / 16 * 16;
    return scratch_.rows.data() + i * stride;
  }

  // Row `y` of `to`: `from` blurred, its edges repeated.
  void Blur(const Plane& from, const BlurFilter& filter, int y, const Plane& to) {
    std::array<const float*, 2 * kMaxBlurRadius + 1> rows;
    for (int k = -filter.radius; k <= filter.radius; ++k) {
      rows[static_cast<size_t>(k + filter.radius)] = from.row(std::clamp(y + k, 0, from.height - 1));
    }
    passes_.blur_row(rows.data(), filter, from.width, Row(0), to.row(y));
  }

  // Row `y` of the picture from which the first level is made.
  void InputRow(const Pixels& pixels, int y, float* out) {
    const int width = static_cast<int>(pixels.width), height = static_cast<int>(pixels.height);
    const auto gray = [&](int row, float* to) {
      passes_.gray_row(pixels.rgb.data() + static_cast<size_t>(row) * pixels.width * 3, width, to);
    };
    if (!options_.doubled) return gray(y, out);
    // Rows 2i and 2i + 1 lie a quarter above and below row i; two gray rows are kept, by parity.
    const int row = y / 2, other = std::clamp(y % 2 == 0 ? row - 1 : row + 1, 0, height - 1);
    for (const int needed : {row, other}) {
      if (needed > gray_done_) gray(gray_done_ = needed, Row(1 + static_cast<size_t>(needed % 2)));
    }
    passes_.double_row(Row(1 + static_cast<size_t>(row % 2)), Row(1 + static_cast<size_t>(other % 2)), width, Row(0),
                       out);
  }

  // All levels of an octave and its candidates in one go down the rows: what a level needs of the one before was made
  // a moment ago and is in the cache still.
  void FillOctave(const Pixels& pixels, size_t o) {
    const Octave& octave = scratch_.octaves[o];
    const Plane& first = octave.level[0];
    const int height = first.height;
    const BlurFilter& input_blur = options_.doubled ? constants_.first_doubled : constants_.first;
    // The last level's place is free until long after the input's rows were used.
    const Plane& input = octave.level[kLevels - 1];
    int input_done = 0;
    gray_done_ = -1;
    for (int t = 0; t < height + constants_.lag[kLevels - 1]; ++t) {
      if (t < height && o == 0) {
        for (; input_done < std::min(height, t + input_blur.radius + 1); ++input_done) {
          InputRow(pixels, input_done, input.row(input_done));
        }
        Blur(input, input_blur, t, first);
      } else if (t < height) {
        const float* from = scratch_.octaves[o - 1].level[kScales].row(2 * t);
        float* to = first.row(t);
        for (int x = 0; x < first.width; ++x) to[x] = from[2 * x];
      }
      for (size_t i = 1; i < kLevels; ++i) {
        const int y = t - constants_.lag[i];
        if (y >= 0 && y < height) Blur(octave.level[i - 1], constants_.level[i], y, octave.level[i]);
      }
      const int y = t - constants_.lag[kLevels - 1];
      if (y < 0) continue;
      for (size_t d = 0; d < kDifferences; ++d) {
        passes_.subtract_row(octave.level[d + 1].row(y), octave.level[d].row(y), first.width, DifferenceRow(d, y));
      }
      if (y - 1 >= kBorder && y - 1 < height - kBorder) FindCandidates(first.width, y - 1);
    }
  }

  // Differences are kept for three rows.
  float* DifferenceRow(size_t d, int y) { return Row(3 + d * 3 + static_cast<size_t>(y % 3)) + kRowSlack / 2; }

  void FindCandidates(int width, int y) {
    const float threshold = std::floor(0.5f * options_.contrast / kScales * 255);
    for (size_t d = 1; d <= kScales; ++d) {
      std::array<const float*, 9> rows;
      for (size_t i = 0; i < 9; ++i) rows[i] = DifferenceRow(d + i / 3 - 1, y + static_cast<int>(i % 3) - 1);
      const int found = passes_.find_extrema(rows.data(), threshold, kBorder, width - kBorder, scratch_.columns.data());
      for (int i = 0; i < found; ++i) {
        scratch_.candidates.push_back({scratch_.columns[static_cast<size_t>(i)], y, static_cast<int>(d)});
      }
    }
  }

  // Lowe, section 4: the extremum of a parabola through the neighbors; points of low contrast and on edges are left
  // out.
  void Refine(int o, Candidate at) {
    const Octave& octave = scratch_.octaves[static_cast<size_t>(o)];
    const int width = octave.level[0].width, height = octave.level[0].height;
    constexpr float kScale = 1.0f / 255;
    float dx = 0, dy = 0, ds = 0, gx = 0, gy = 0, gs = 0, xx = 0, yy = 0, xy = 0, value = 0;
    int step = 0;
    for (;; ++step) {
      if (step == kRefinements) return;
      const int x = at.x, y = at.y, d = at.difference;
      const auto value_at = [&](int to_d, int to_y, int to_x) {
        return octave.DifferenceAt(d + to_d, y + to_y, x + to_x) * kScale;
      };
      value = value_at(0, 0, 0);
      gx = (value_at(0, 0, 1) - value_at(0, 0, -1)) / 2;
      gy = (value_at(0, 1, 0) - value_at(0, -1, 0)) / 2;
      gs = (value_at(1, 0, 0) - value_at(-1, 0, 0)) / 2;
      xx = value_at(0, 0, 1) + value_at(0, 0, -1) - 2 * value;
      yy = value_at(0, 1, 0) + value_at(0, -1, 0) - 2 * value;
      const float ss = value_at(1, 0, 0) + value_at(-1, 0, 0) - 2 * value;
      xy = (value_at(0, 1, 1) - value_at(0, 1, -1) - value_at(0, -1, 1) + value_at(0, -1, -1)) / 4;
      const float xs = (value_at(1, 0, 1) - value_at(1, 0, -1) - value_at(-1, 0, 1) + value_at(-1, 0, -1)) / 4;
      const float ys = (value_at(1, 1, 0) - value_at(1, -1, 0) - value_at(-1, 1, 0) + value_at(-1, -1, 0)) / 4;
      // Cramer's rule for the step to where the gradient is 0.
      const float a = yy * ss - ys * ys, b = ys * xs - xy * ss, c = xy * ys - yy * xs;
      const float determinant = xx * a + xy * b + xs * c;
      if (determinant == 0) return;
      dx = -(a * gx + b * gy + c * gs) / determinant;
      dy = -(b * gx + (xx * ss - xs * xs) * gy + (xy * xs - xx * ys) * gs) / determinant;
      ds = -(c * gx + (xy * xs - xx * ys) * gy + (xx * yy - xy * xy) * gs) / determinant;
      if (std::abs(dx) < 0.5f && std::abs(dy) < 0.5f && std::abs(ds) < 0.5f) break;
      if (!(std::abs(dx) < 1e6f && std::abs(dy) < 1e6f && std::abs(ds) < 1e6f)) return;
      at.x += static_cast<int>(std::lround(dx));
      at.y += static_cast<int>(std::lround(dy));
      at.difference += static_cast<int>(std::lround(ds));
      if (at.difference < 1 || at.difference > kScales || at.x < kBorder || at.x >= width - kBorder || at.y < kBorder ||
          at.y >= height - kBorder) {
        return;
      }
    }
    const float contrast = std::abs(value + 0.5f * (gx * dx + gy * dy + gs * ds));
    if (contrast * kScales < options_.contrast) return;
    const float trace = xx + yy, determinant = xx * yy - xy * xy;
    if (determinant <= 0 || trace * trace * options_.edge >= (options_.edge + 1) * (options_.edge + 1) * determinant) {
      return;
    }
    Extremum extremum;
    extremum.response = contrast;
    extremum.octave = o;
    extremum.level = at.difference;
    extremum.x = at.x;
    extremum.y = at.y;
    extremum.at_x = static_cast<float>(at.x) + dx;
    extremum.at_y = static_cast<float>(at.y) + dy;
    extremum.sigma = static_cast<float>(
        kSigma * std::exp2((static_cast<double>(at.difference) + static_cast<double>(ds)) / kScales));
    scratch_.extrema.push_back(extremum);
  }

  // Lowe, section 5: the directions of the gradients around a extremum, strongest first.
  int FindAngles(const Extremum& extremum, const Plane& plane, Patch& patch,
                 std::array<float, kHistogramBins>& angles) const {
    PatchPlace place{extremum.at_x, extremum.at_y, static_cast<float>(Constants::kHistogramStep) * extremum.sigma, 1,
                     0};
    passes_.sample_patch(plane, place, patch);
    // Four histograms, so that an addition need not wait for the one before.
    float histograms[4][kHistogramBins + 1] = {};
    for (int r = 0; r < kPatchSide; ++r) {
      const float* magnitude = patch.magnitude + r * kPatchStride;
      const float* turn = patch.turn + r * kPatchStride;
      const float row_weight = constants_.window[static_cast<size_t>(r)];
      for (int c = 0; c < kPatchSide; ++c) {
        histograms[c % 4][static_cast<int>(turn[c] * kHistogramBins)] +=
            magnitude[c] * (row_weight * constants_.window[static_cast<size_t>(c)]);
      }
    }
    std::array<float, kHistogramBins> raw, smooth;
    for (size_t i = 0; i < kHistogramBins; ++i) {
      raw[i] = (histograms[0][i] + histograms[1][i]) + (histograms[2][i] + histograms[3][i]);
    }
    raw[0] += (histograms[0][kHistogramBins] + histograms[1][kHistogramBins]) +
              (histograms[2][kHistogramBins] + histograms[3][kHistogramBins]);
    float strongest = 0;
    const auto at = [](const auto& list, size_t i) { return list[i % kHistogramBins]; };
    for (size_t i = 0; i < kHistogramBins; ++i) {
      smooth[i] = (at(raw, i + 34) + at(raw, i + 2)) * (1.0f / 16) + (at(raw, i + 35) + at(raw, i + 1)) * (4.0f / 16) +
                  raw[i] * (6.0f / 16);
      strongest = std::max(strongest, smooth[i]);
    }
    std::array<std::pair<float, float>, kHistogramBins> peaks;
    size_t count = 0;
    for (size_t i = 0; i < kHistogramBins; ++i) {
      const float left = at(smooth, i + 35), right = at(smooth, i + 1), height = smooth[i];
      if (height <= left || height <= right || height < static_cast<float>(kSecondPeak) * strongest) continue;
      float bin = static_cast<float>(i) + 0.5f + 0.5f * (left - right) / (left - 2 * height + right);
      if (bin < 0) bin += kHistogramBins;
      if (bin >= kHistogramBins) bin -= kHistogramBins;
      peaks[count++] = {-height, bin * static_cast<float>(2 * std::numbers::pi / kHistogramBins)};
    }
    std::sort(peaks.begin(), peaks.begin() + static_cast<ptrdiff_t>(count));
    for (size_t i = 0; i < count; ++i) angles[i] = peaks[i].second;
    return static_cast<int>(count);
  }

  // The strongest, until there are enough.
  void DescribeAll(LocalFeatures& features) {
    const std::vector<Extremum>& extrema = scratch_.extrema;
    // One extremum is mostly one keypoint and never many: of these about all are wanted.
    const size_t first = options_.threads > 1 ? std::min(extrema.size(), options_.most * 4 / 5) : 0;
    std::vector<LocalFeatures> parts(options_.threads);
    if (first > 0) {
      ParallelFor(parts.size(), parts.size(), [&](size_t part) {
        Patch patch;
        for (size_t i = first * part / parts.size(); i < first * (part + 1) / parts.size(); ++i) {
          Describe(extrema[i], patch, parts[part]);
        }
      });
    }
    for (const LocalFeatures& part : parts) {
      const size_t some = std::min(part.size(), options_.most - features.size());
      features.keypoints.insert(features.keypoints.end(), part.keypoints.begin(),
                                part.keypoints.begin() + static_cast<ptrdiff_t>(some));
      features.descriptors.insert(features.descriptors.end(), part.descriptors.begin(),
                                  part.descriptors.begin() + static_cast<ptrdiff_t>(some * kLocalDescriptorSize));
    }
    for (size_t i = first; i < extrema.size() && features.size() < options_.most; ++i) {
      Describe(extrema[i], scratch_.patch, features);
    }
  }

  void Describe(const Extremum& extremum, Patch& patch, LocalFeatures& features) const {
    const Plane& plane =
        scratch_.octaves[static_cast<size_t>(extremum.octave)].level[static_cast<size_t>(extremum.level)];
    std::array<float, kHistogramBins> angles;
    const int count = FindAngles(extremum, plane, patch, angles);
    for (int i = 0; i < count && features.size() < options_.most; ++i) {
      const float angle = angles[static_cast<size_t>(i)];
      PatchPlace place{extremum.at_x, extremum.at_y, static_cast<float>(Constants::kDescriptorStep) * extremum.sigma,
                       std::cos(angle), std::sin(angle)};
      passes_.sample_patch(plane, place, patch);
      std::array<float, kLocalDescriptorSize> sums;
      passes_.pool_patch(patch, constants_.pool, sums.data());
      if (!AppendDescriptor(sums, features.descriptors)) continue;
      const float octave_scale = std::ldexp(1.0f, extremum.octave);
      features.keypoints.push_back({(extremum.at_x * octave_scale + 0.5f) * frame_scale_,
                                    (extremum.at_y * octave_scale + 0.5f) * frame_scale_,
                                    extremum.sigma * octave_scale * frame_scale_, angle, extremum.response});
    }
  }

  // Lowe, section 6.1: length 1, no sum above a fifth of it. Then Hellinger: roots of shares.
  static bool AppendDescriptor(std::array<float, kLocalDescriptorSize>& sums, std::vector<uint8_t>& out) {
    float squares = 0;
    for (const float sum : sums) squares += sum * sum;
    if (!(squares > 0)) return false;
    const float most = kLargestShare * std::sqrt(squares);
    float total = 0;
    for (float& sum : sums) total += sum = std::min(sum, most);
    const float scale = 1 / total;
    for (const float sum : sums) {
      out.push_back(static_cast<uint8_t>(std::min(255.0f, kDescriptorLength * std::sqrt(sum * scale) + 0.5f)));
    }
    return true;
  }

  const SiftOptions& options_;
  const Constants& constants_;
  const SiftPasses& passes_;
  Scratch& scratch_;
  float frame_scale_ = 1;
  int gray_done_ = -1;
};

}  // namespace

absl::StatusOr<LocalFeatures> ExtractLocal(const Pixels& pixels, const SiftOptions& options) {
  if (pixels.width == 0 || pixels.height == 0 || pixels.rgb.size() != size_t{3} * pixels.width * pixels.height) {
    return absl::InvalidArgumentError("there are no pixels to look for keypoints in");
  }
  thread_local Scratch scratch;
  const uint32_t longer = std::max(pixels.width, pixels.height);
  if (longer <= kLocalFrame) return Detector(options, scratch).Run(pixels);
  const auto fitted = [&](uint32_t side) {
    return std::max<uint32_t>(1, static_cast<uint32_t>(std::lround(double{kLocalFrame} * side / longer)));
  };
  ResampleOptions size;
  size.width = fitted(pixels.width);
  size.height = fitted(pixels.height);
  size.fit = Fit::kStretch;
  LIKENESS_ASSIGN_OR_RETURN(const Pixels reduced, Resample(pixels, std::nullopt, size));
  return Detector(options, scratch).Run(reduced);
}

}  // namespace likeness
