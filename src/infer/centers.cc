// What a network makes of a typical image, and what follows from it for the rounding of values and weights.
//
// Not every value that may be centered is: tiles multiply zeros faster than other numbers, and what a kRelu leaves has
// many of them. So it is the first layers' values, whose errors grow the longest, and those that were pooled, which
// have few zeros.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "base/random.h"
#include "infer/onednn_plan.h"
#include "infer/tile_choice.h"
#include "infer/weight_rounding.h"

namespace likeness {
namespace {

using Desc = dnnl::memory::desc;
using Tag = dnnl::memory::format_tag;
using Type = dnnl::memory::data_type;

constexpr double kCenter = 0.85;      // times the mean of what is not zero
constexpr size_t kMostDepth = 1152;   // of weights that are rounded by moments: more takes long, and gains little
constexpr size_t kSamples = 4096;     // patches that moments are taken of
constexpr float kOwn = 0.01f;         // of the mean moment: what each input does by itself
constexpr float kStrangeness = 0.1f;  // of what goes together in the typical image and may not in others

float Widened(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

uint16_t Narrowed(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// `image` is channels last, and nothing of it is below zero.
Center CenterOf(const void* image, const ImageLayout& layout) {
  std::vector<double> sums(layout.channels), counts(layout.channels);
  for (size_t i = 0; i < layout.area * layout.channels; ++i) {
    const float value =
        layout.bf16 ? Widened(static_cast<const uint16_t*>(image)[i]) : static_cast<const float*>(image)[i];
    sums[i % layout.channels] += static_cast<double>(value);
    counts[i % layout.channels] += value > 0 ? 1 : 0;
  }
  Center center;
  for (size_t c = 0; c < layout.channels; ++c) {
    const auto mean = static_cast<float>(kCenter * sums[c] / std::max(counts[c], 1.0));
    const auto bits = static_cast<uint16_t>(std::bit_cast<uint32_t>(std::isfinite(mean) ? mean : 0) >> 16);
    center.of.push_back(Widened(bits));
    center.below.push_back(-center.of.back());
    center.nothing.push_back(static_cast<uint16_t>(bits ^ 0x8000));
  }
  return center;
}

// What some of the pixels of a convolution's output look at, in the order of its weights: bf16[samples, depth]. `image`
// is channels last and not centered.
std::vector<uint16_t> SamplePatches(const TileConvolutionShape& s, const Center& center, const void* image, bool bf16) {
  Random random(1);
  const size_t taps = s.kernel_height * s.kernel_width;
  std::vector<uint16_t> patches(kSamples * s.channels * taps);
  for (size_t sample = 0; sample < kSamples; ++sample) {
    const size_t pixel = random.Below(s.out_height * s.out_width);
    uint16_t* const to = &patches[sample * s.channels * taps];
    for (size_t tap = 0; tap < taps; ++tap) {
      const size_t y = pixel / s.out_width * s.stride_height + tap / s.kernel_width - s.top;
      const size_t x = pixel % s.out_width * s.stride_width + tap % s.kernel_width - s.left;
      const bool inside = y < s.height && x < s.width;  // below zero wraps around
      const size_t first = (y * s.width + x) * s.channels;
      for (size_t c = 0; c < s.channels; ++c) {
        float value = 0;
        if (inside) {
          value = bf16 ? Widened(static_cast<const uint16_t*>(image)[first + c])
                       : static_cast<const float*>(image)[first + c];
        }
        to[c * taps + tap] = Narrowed(value - center.of[c]);
      }
    }
  }
  return patches;
}

// The mean products of the columns of bf16[samples, depth] with each other.
std::vector<float> Moments(std::vector<uint16_t>& patches, size_t depth, const dnnl::engine& engine) {
  const auto samples = static_cast<int64_t>(patches.size() / depth), side = static_cast<int64_t>(depth);
  std::vector<uint16_t> turned(patches.size());
  constexpr size_t kBlock = 32;
  for (size_t first = 0; first < patches.size() / depth; first += kBlock) {
    for (size_t i = 0; i < depth; ++i) {
      for (size_t sample = first; sample < std::min(first + kBlock, patches.size() / depth); ++sample) {
        turned[i * patches.size() / depth + sample] = patches[sample * depth + i];
      }
    }
  }
  std::vector<float> moments(depth * depth);
  const Desc a({side, samples}, Type::bf16, Tag::ab), b({samples, side}, Type::bf16, Tag::ab),
      c({side, side}, Type::f32, Tag::ab);
  const dnnl::matmul::primitive_desc pd(dnnl::matmul::desc(a, b, c), engine);
  dnnl::stream stream(engine);
  dnnl::matmul(pd).execute(stream, {{DNNL_ARG_SRC, dnnl::memory(a, engine, turned.data())},
                                    {DNNL_ARG_WEIGHTS, dnnl::memory(b, engine, patches.data())},
                                    {DNNL_ARG_DST, dnnl::memory(c, engine, moments.data())}});
  stream.wait();
  for (float& moment : moments) moment /= static_cast<float>(samples);
  return moments;
}

// Channels of other images do not go together quite as those of the typical one.
void Loosen(std::vector<float>& moments, size_t depth, size_t taps) {
  double trace = 0;
  for (size_t i = 0; i < depth; ++i) trace += static_cast<double>(moments[i * depth + i]);
  for (size_t i = 0; i < depth; ++i) {
    for (size_t j = 0; j < depth; ++j) {
      if (i / taps != j / taps) moments[i * depth + j] *= 1 - kStrangeness;
    }
    moments[i * depth + i] += kOwn * static_cast<float>(trace / static_cast<double>(depth));
  }
}

}  // namespace

Centers CentersOf(const Network& network, const dnnl::engine& engine, const std::vector<float>& typical,
                  WeightStore& store) {
  Network sample = network;
  sample.outputs = CenteredValues(network);
  if (sample.outputs.empty() || typical.empty()) return {};
  // What comes behind the last is not needed, and large.
  const auto last = std::ranges::find(sample.steps, sample.outputs.back(), &Step::output);
  sample.steps.erase(last + 1, sample.steps.end());
  const Centers none;
  const Plan plan(sample, engine, 1, /*bf16=*/true, none, store);
  const auto state = plan.NewState();
  plan.Execute(*state, typical.data());
  Centers centers;
  for (size_t i = 0; i < sample.outputs.size(); ++i) {
    const int value = sample.outputs[i];
    const auto [image, layout] = plan.Source(*state, i);
    const auto reads = std::ranges::find_if(network.steps, [&](const Step& step) { return step.inputs[0] == value; });
    const auto makes = std::ranges::find(network.steps, value, &Step::output);
    const auto shape = *TilesOf(network, static_cast<size_t>(reads - network.steps.begin()));
    const size_t depth = shape.depth();
    const bool thin = depth <= kMostDepth;
    if (layout.block != layout.channels || (!thin && makes->kind != Step::Kind::kMaxPool)) continue;
    Center& center = centers[value] = CenterOf(image, layout);
    if (!thin) continue;
    auto patches = SamplePatches(shape, center, image, layout.bf16);
    auto moments = Moments(patches, depth, engine);
    Loosen(moments, depth, shape.kernel_height * shape.kernel_width);
    center.weights = RoundedByMoments(reads->weights.Copy(), shape.outputs, std::move(moments));
  }
  return centers;
}

}  // namespace likeness
