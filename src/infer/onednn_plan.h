// A network made into oneDNN primitives for one number of images. For onednn_model.cc alone: this header brings oneDNN
// along.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "infer/byte_dense.h"
#include "infer/layer_kernels.h"
#include "infer/network.h"
#include "infer/page_bytes.h"
#include "infer/tile_convolution.h"
#include "infer/winograd.h"

namespace likeness {

class WeightStore;

// What is taken from the channels of a value where it lies in bf16, which rounds what is left of a large common part
// more finely. Numbers of bf16.
struct Center {
  std::vector<float> of;          // [channels]
  std::vector<float> below;       // what a zero becomes
  std::vector<uint16_t> nothing;  // the same, as bf16
  std::vector<float> weights;     // of the one step that reads the value, in bf16; empty: rounded like others
};
using Centers = std::map<int, Center>;  // by value

// The centers of CenteredValues(network), from what the network makes of one typical image. Throws dnnl::error.
Centers CentersOf(const Network& network, const dnnl::engine& engine, const std::vector<float>& typical,
                  WeightStore& store);

// Weights in the layouts that primitives asked for, each made once and shared by the plans for different numbers of
// images. One thread at a time.
class WeightStore {
 public:
  // Constant `role` (weights 0, bias 1) of step `step` in the layout `wanted`, from floats in the layout `given`.
  dnnl::memory Get(size_t step, int role, const dnnl::memory::desc& given, const void* floats,
                   const dnnl::memory::desc& wanted, const dnnl::engine& engine);
  // The weights of a dense layer, f32[out, channels, height, width] as `given` lays them, as a matrix [out, pixels *
  // channels] with the channels last.
  dnnl::memory GetDense(size_t step, const dnnl::memory::desc& given, const void* floats,
                        const dnnl::memory::desc& wanted, const dnnl::engine& engine);
  // Weights of each channel by itself, [kernel height, kernel width, padded], and then the bias [padded].
  std::shared_ptr<const std::vector<float>> GetDepthwise(size_t step, const Step& of, size_t padded);
  // Weights [outputs, channels, kernel] of an ordinary convolution in tiles; null: its input lies as it is.
  const uint16_t* GetTiles(size_t step, const Step& of, const TileConvolutionShape& shape, const Center* input);
  // What goes with them where its input or output lies less a center; null: as it is.
  TileValues GetTileValues(size_t step, const Step& of, size_t outputs, const Center* input, const Center* output);
  // Weights of a 3 x 3 convolution in Winograd's space.
  const float* GetWinograd(size_t step, const Step& of, const WinogradShape& shape);
  // The weights of a dense layer as bytes, channels last as GetDense has them.
  std::shared_ptr<const ByteMatrix> GetBytes(size_t step, const Step& of, const Extent& input, size_t outputs);
  // A layout that is there already; null when none is.
  const dnnl::memory* Find(size_t step, int role) const;

 private:
  dnnl::memory New(const dnnl::memory::desc& layout, const dnnl::engine& engine);

  std::map<std::pair<size_t, int>, std::vector<dnnl::memory>> made_;
  std::map<size_t, std::shared_ptr<const std::vector<float>>> depthwise_;
  std::map<std::pair<size_t, bool>, const uint16_t*> tiles_;           // of a center or not
  std::map<std::pair<size_t, bool>, std::vector<float>> tile_biases_;  // centered or not
  std::map<size_t, const float*> winograd_;
  std::map<size_t, std::shared_ptr<const ByteMatrix>> matrices_;
  std::vector<Bytes> bytes_;  // where they lie
};

// What one run of a plan writes to: activations, scratch, and the primitives' arguments that point there.
struct PlanState {
  Bytes arena;
  Bytes scratch;
  dnnl::stream stream;
  std::vector<std::unordered_map<int, dnnl::memory>> arguments;  // of each stage
  const float* images = nullptr;                                 // of this run
};

// Constant once made; any number of threads may Execute it, each with a state of its own.
class Plan {
 public:
  // Throws dnnl::error where oneDNN cannot do a step. `network` and `centers` must outlive the plan.
  Plan(const Network& network, const dnnl::engine& engine, int64_t images, bool bf16, const Centers& centers,
       WeightStore& store);

  std::unique_ptr<PlanState> NewState() const;

  // `seconds`, where given, gets the time of each stage. Throws dnnl::error.
  void Execute(PlanState& state, const float* images, std::vector<double>* seconds = nullptr) const;

  // f32[images, channels] of output i, after Execute.
  const float* Output(const PlanState& state, size_t i) const;

  // What output i is the average of, after Execute. REQUIRES: it has an area
  std::pair<const void*, ImageLayout> Source(const PlanState& state, size_t i) const {
    return {At(state, sources_[i].first), sources_[i].second};
  }

  const std::vector<std::string>& stage_names() const { return names_; }

 private:
  friend class PlanBuilder;

  struct Buffer {
    size_t bytes = 0, offset = 0;
    size_t first = SIZE_MAX, last = 0;  // the stages that touch it
  };
  struct Argument {
    int name;                   // DNNL_ARG_...
    dnnl::memory::desc layout;  //
    int buffer;                 // or kImages
    dnnl::memory constant;      // when it is one
  };
  struct Stage {
    dnnl::primitive primitive;
    std::vector<Argument> arguments;
    std::function<void(PlanState&)> own;  // instead of the primitive
  };
  static constexpr int kImages = -1, kConstant = -2, kScratch = -3;

  std::byte* At(const PlanState& state, int buffer) const {
    return state.arena.get() + buffers_[static_cast<size_t>(buffer)].offset;
  }
  void PlaceBuffers();

  dnnl::engine engine_;
  std::vector<Buffer> buffers_;
  std::vector<Stage> stages_;
  std::vector<std::string> names_;
  std::vector<int> outputs_;                          // buffers
  std::vector<std::pair<int, ImageLayout>> sources_;  // of each output, where it has an area
  size_t arena_bytes_ = 0, scratch_bytes_ = 0;
};

}  // namespace likeness
