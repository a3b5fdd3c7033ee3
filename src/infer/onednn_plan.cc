#include "infer/onednn_plan.h"

#include <time.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>

#include "infer/weight_rounding.h"

namespace likeness {
namespace {

// Of the calling thread on a processor: neighbours on a busy machine do not count.
double ThreadSeconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

void Convert(dnnl::memory& from, dnnl::memory& to, const dnnl::engine& engine) {
  dnnl::stream stream(engine);
  dnnl::reorder(from, to).execute(stream, from, to);
  stream.wait();
}

}  // namespace

dnnl::memory WeightStore::New(const dnnl::memory::desc& layout, const dnnl::engine& engine) {
  bytes_.push_back(NewBytes(layout.get_size()));
  return dnnl::memory(layout, engine, bytes_.back().get());
}

dnnl::memory WeightStore::Get(size_t step, int role, const dnnl::memory::desc& given, const void* floats,
                              const dnnl::memory::desc& wanted, const dnnl::engine& engine) {
  auto& made = made_[{step, role}];
  for (const dnnl::memory& memory : made) {
    if (memory.get_desc() == wanted) return memory;
  }
  dnnl::memory memory = New(wanted, engine);
  std::vector<float> rounded;
  const auto dims = given.dims();
  const auto taps = static_cast<size_t>(dims.size() < 4 ? 1 : dims[dims.size() - 1] * dims[dims.size() - 2]);
  if (taps > 1 && static_cast<dnnl::memory::data_type>(wanted.data.data_type) == dnnl::memory::data_type::bf16) {
    rounded.resize(given.get_size() / sizeof(float));
    std::memcpy(rounded.data(), floats, given.get_size());
    rounded = RoundedKernels(rounded, taps);
    floats = rounded.data();
  }
  dnnl::memory source(given, engine, const_cast<void*>(floats));  // only read
  Convert(source, memory, engine);
  made.push_back(memory);
  return memory;
}

dnnl::memory WeightStore::GetDense(size_t step, const dnnl::memory::desc& given, const void* floats,
                                   const dnnl::memory::desc& wanted, const dnnl::engine& engine) {
  auto& made = made_[{step, 0}];
  for (const dnnl::memory& memory : made) {
    if (memory.get_desc() == wanted) return memory;
  }
  const auto dims = given.dims();
  const auto type = static_cast<dnnl::memory::data_type>(wanted.data.data_type);
  dnnl::memory source(given, engine, const_cast<void*>(floats));  // only read
  dnnl::memory last({dims, type, dnnl::memory::format_tag::ohwi}, engine);
  Convert(source, last, engine);
  dnnl::memory matrix({{dims[0], dims[1] * dims[2] * dims[3]}, type, dnnl::memory::format_tag::ab}, engine,
                      last.get_data_handle());
  dnnl::memory memory = New(wanted, engine);
  Convert(matrix, memory, engine);
  made.push_back(memory);
  return memory;
}

std::shared_ptr<const std::vector<float>> WeightStore::GetDepthwise(size_t step, const Step& of, size_t padded) {
  auto& made = depthwise_[step];
  if (made != nullptr) return made;
  const auto taps = static_cast<size_t>(of.kernel[0] * of.kernel[1]);
  const size_t channels = of.weights.values.size() / taps;
  std::vector<float> floats((taps + 1) * padded);
  for (size_t c = 0; c < channels; ++c) {
    for (size_t tap = 0; tap < taps; ++tap) floats[tap * padded + c] = of.weights.values[c * taps + tap];
    if (!of.bias.values.empty()) floats[taps * padded + c] = of.bias.values[c];
  }
  made = std::make_shared<const std::vector<float>>(std::move(floats));
  return made;
}

const uint16_t* WeightStore::GetTiles(size_t step, const Step& of, const TileConvolutionShape& shape,
                                      const Center* input) {
  const bool rounded = input != nullptr && !input->weights.empty();
  const uint16_t*& made = tiles_[{step, rounded}];
  if (made != nullptr) return made;
  bytes_.push_back(NewBytes(shape.tile_weights() * sizeof(uint16_t)));
  auto* const tiles = reinterpret_cast<uint16_t*>(bytes_.back().get());
  const size_t taps = shape.kernel_height * shape.kernel_width;
  if (rounded) {
    TileWeights(shape, input->weights, tiles);
  } else if (shape.patches()) {
    TileWeights(shape, of.weights.Copy(), tiles);
  } else {
    TileWeights(shape, RoundedKernels(of.weights.Copy(), taps), tiles);
  }
  return made = tiles;
}

TileValues WeightStore::GetTileValues(size_t step, const Step& of, size_t outputs, const Center* input,
                                      const Center* output) {
  std::vector<float>& bias = tile_biases_[{step, input != nullptr || output != nullptr}];
  if (bias.empty()) {
    bias = of.bias.Copy();
    bias.resize(outputs);
    const size_t depth = of.weights.values.size() / outputs;
    for (size_t o = 0; o < outputs; ++o) {
      double sum = static_cast<double>(bias[o]) - (output == nullptr ? 0 : static_cast<double>(output->of[o]));
      // What was taken from the input comes back by the weights as they are: what all pixels have in common does not
      // feel that they are rounded.
      for (size_t i = 0; input != nullptr && i < depth; ++i) {
        sum += static_cast<double>(of.weights.values[o * depth + i]) *
               static_cast<double>(input->of[i * input->of.size() / depth]);
      }
      bias[o] = static_cast<float>(sum);
    }
  }
  return {.bias = bias.data(),
          .least = output == nullptr ? nullptr : output->below.data(),
          .around = input == nullptr ? nullptr : input->nothing.data()};
}

const float* WeightStore::GetWinograd(size_t step, const Step& of, const WinogradShape& shape) {
  const float*& made = winograd_[step];
  if (made != nullptr) return made;
  bytes_.push_back(NewBytes(shape.weights() * sizeof(float)));
  auto* const weights = reinterpret_cast<float*>(bytes_.back().get());
  WinogradWeights(shape, of.weights.Copy(), weights);
  return made = weights;
}

std::shared_ptr<const ByteMatrix> WeightStore::GetBytes(size_t step, const Step& of, const Extent& input,
                                                        size_t outputs) {
  auto& made = matrices_[step];
  if (made != nullptr) return made;
  const auto channels = static_cast<size_t>(input.channels), area = static_cast<size_t>(input.area());
  const size_t inputs = channels * area;
  made = std::make_shared<const ByteMatrix>(inputs, outputs, [&](size_t output, float* to) {
    const size_t first = of.transposed ? output : output * inputs, apart = of.transposed ? outputs : 1;
    for (size_t pixel = 0; pixel < area; ++pixel) {
      for (size_t c = 0; c < channels; ++c) *to++ = of.weights.values[first + (c * area + pixel) * apart];
    }
  });
  return made;
}

const dnnl::memory* WeightStore::Find(size_t step, int role) const {
  const auto found = made_.find({step, role});
  return found == made_.end() || found->second.empty() ? nullptr : &found->second.front();
}

std::unique_ptr<PlanState> Plan::NewState() const {
  auto state = std::make_unique<PlanState>();
  state->arena = NewBytes(arena_bytes_);
  state->scratch = NewBytes(scratch_bytes_);
  state->stream = dnnl::stream(engine_);
  for (const Stage& stage : stages_) {
    auto& arguments = state->arguments.emplace_back();
    for (const Argument& argument : stage.arguments) {
      if (argument.buffer == kConstant) {
        arguments.emplace(argument.name, argument.constant);
        continue;
      }
      void* at = argument.buffer == kScratch  ? state->scratch.get()
                 : argument.buffer == kImages ? nullptr
                                              : At(*state, argument.buffer);
      arguments.emplace(argument.name, dnnl::memory(argument.layout, engine_, at));
    }
  }
  return state;
}

void Plan::Execute(PlanState& state, const float* images, std::vector<double>* seconds) const {
  state.images = images;
  double before = seconds == nullptr ? 0 : ThreadSeconds();
  for (size_t i = 0; i < stages_.size(); ++i) {
    const Stage& stage = stages_[i];
    if (stage.own) {
      stage.own(state);
    } else {
      for (const Argument& argument : stage.arguments) {
        if (argument.buffer == kImages) {
          state.arguments[i].at(argument.name).set_data_handle(const_cast<float*>(images));  // only read
        }
      }
      stage.primitive.execute(state.stream, state.arguments[i]);
    }
    if (seconds != nullptr) {
      const double now = ThreadSeconds();
      seconds->push_back(now - before);
      before = now;
    }
  }
  state.stream.wait();
}

const float* Plan::Output(const PlanState& state, size_t i) const {
  return reinterpret_cast<const float*>(At(state, outputs_[i]));
}

// Largest first, each at the lowest place where nothing lies that lives at the same time.
void Plan::PlaceBuffers() {
  std::vector<Buffer*> order;
  for (Buffer& buffer : buffers_) {
    if (buffer.first != SIZE_MAX) order.push_back(&buffer);
  }
  std::ranges::stable_sort(order, [](const Buffer* a, const Buffer* b) { return a->bytes > b->bytes; });
  std::vector<const Buffer*> placed;
  for (Buffer* buffer : order) {
    std::vector<const Buffer*> beside;
    for (const Buffer* other : placed) {
      if (other->first <= buffer->last && buffer->first <= other->last) beside.push_back(other);
    }
    std::ranges::sort(beside, {}, &Buffer::offset);
    size_t offset = 0;
    for (const Buffer* other : beside) {
      if (offset + buffer->bytes <= other->offset) break;
      offset = std::max(offset, other->offset + other->bytes);
    }
    buffer->offset = offset;
    arena_bytes_ = std::max(arena_bytes_, offset + buffer->bytes);
    placed.push_back(buffer);
  }
}

}  // namespace likeness
