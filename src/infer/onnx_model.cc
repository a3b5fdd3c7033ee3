#include "infer/onnx_model.h"

#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <vector>

#include "base/bytes.h"
#include "base/log.h"
#include "infer/onnx_graph.h"

namespace likeness {
namespace {

// One image at a time keeps its activations in the cache. Measured on EfficientNet-Lite 0, 1 and 2, one core, in
// milliseconds of CPU an image: 8.4, 12.2, 17.3 at batch 1; 9.4, 14.1, 19.5 at batch 8; 9.0, 15.4, 19.2 at batch 16.
constexpr size_t kBatch = 1;

void ORT_API_CALL ForwardLog(void*, OrtLoggingLevel level, const char* category, const char*, const char*,
                             const char* message) {
  Log(level >= ORT_LOGGING_LEVEL_ERROR ? LogLevel::kInfo : LogLevel::kDebug, "onnxruntime",
      {{"category", category == nullptr ? "" : category}, {"message", message == nullptr ? "" : message}});
}

// Never destroyed: sessions may outlive every static object.
Ort::Env& Engine() {
  static Ort::Env* const env = [] {
    auto* made = new Ort::Env(ORT_LOGGING_LEVEL_FATAL, "likeness", ForwardLog, nullptr);
    made->DisableTelemetryEvents();
    return made;
  }();
  return *env;
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    text.append(i == 0 ? "" : ",").append(shape[i] < 0 ? "?" : std::to_string(shape[i]));
  }
  return text + "]";
}

// A message of the engine as one line, without its source positions.
std::string OneLine(std::string_view message) {
  std::string line(message.substr(0, 300));
  std::ranges::replace(line, '\n', ' ');
  return line;
}

class OnnxModel final : public Model {
 public:
  explicit OnnxModel(Ort::Session session) : session_(std::move(session)) {}

  // Checks the graph against the card and runs it once to learn what the layer gives.
  absl::Status Prepare(const ModelCard& card, std::span<const std::string> tensors) {
    const Ort::AllocatorWithDefaultOptions allocator;
    if (session_.GetInputCount() != 1) {
      return absl::InvalidArgumentError("the model has " + std::to_string(session_.GetInputCount()) +
                                        " inputs; only models with one are read");
    }
    input_name_ = session_.GetInputNameAllocated(0, allocator).get();
    for (const std::string& tensor : tensors) {
      const auto known = std::ranges::find(outputs_, tensor, &Output::name);
      layers_.push_back(static_cast<size_t>(known - outputs_.begin()));
      if (known == outputs_.end()) outputs_.push_back({tensor});
    }
    if (input_name_ != card.input.name) {
      return absl::InvalidArgumentError("the model's input is called \"" + input_name_ + "\" and the card says \"" +
                                        card.input.name + "\"");
    }
    const Ort::TypeInfo input_type = session_.GetInputTypeInfo(0);
    if (input_type.GetONNXType() != ONNX_TYPE_TENSOR ||
        input_type.GetTensorTypeAndShapeInfo().GetElementType() != ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT) {
      return absl::InvalidArgumentError("the model's input does not hold 32-bit floats, and no other type is read");
    }
    const std::vector<int64_t> declared = input_type.GetTensorTypeAndShapeInfo().GetShape();
    const int64_t width = card.input.width, height = card.input.height;
    shape_ = card.input.layout == "NCHW" ? std::vector<int64_t>{-1, 3, height, width}
                                         : std::vector<int64_t>{-1, height, width, 3};
    bool fits = declared.size() == 4;
    for (size_t i = 1; fits && i < 4; ++i) fits = declared[i] < 0 || declared[i] == shape_[i];
    if (!fits) {
      return absl::InvalidArgumentError("the model takes input of shape " + ShapeText(declared) +
                                        " and the card says " + ShapeText(shape_));
    }
    if (declared[0] > 0) fixed_batch_ = static_cast<size_t>(declared[0]);
    for (size_t i = 0; i < outputs_.size(); ++i) {
      const Ort::TypeInfo output_type = session_.GetOutputTypeInfo(i);
      if (output_type.GetONNXType() != ONNX_TYPE_TENSOR ||
          output_type.GetTensorTypeAndShapeInfo().GetElementType() != ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT) {
        return absl::InvalidArgumentError("layer \"" + outputs_[i].name + "\" does not give 32-bit floats");
      }
    }
    return LearnOutputs(card.pooling);
  }

  size_t input_size() const override { return static_cast<size_t>(shape_[1] * shape_[2] * shape_[3]); }
  size_t output_size() const override { return output_size_; }
  std::vector<size_t> layer_sizes() const override {
    std::vector<size_t> sizes;
    for (const size_t layer : layers_) sizes.push_back(outputs_[layer].size);
    return sizes;
  }
  size_t batch() const override { return fixed_batch_ > 0 ? fixed_batch_ : kBatch; }

  absl::Status Run(std::span<const float> images, size_t count, std::span<float> out) const override {
    if (images.size() != count * input_size() || out.size() != count * output_size_) {
      return absl::InvalidArgumentError("the spans do not hold " + std::to_string(count) + " images and vectors");
    }
    try {
      for (size_t done = 0; done < count;) {
        const size_t now = std::min(batch(), count - done);
        LIKENESS_RETURN_IF_ERROR(RunBatch(images.subspan(done * input_size(), now * input_size()), now,
                                          out.subspan(done * output_size_, now * output_size_)));
        done += now;
      }
    } catch (const std::bad_alloc&) {
      return absl::ResourceExhaustedError("there is not enough memory to run the model");
    } catch (const std::exception& error) {
      return absl::InternalError("the model failed: " + OneLine(error.what()));
    }
    return absl::OkStatus();
  }

 private:
  // What one tensor gives. [N,C,H,W]: a channel's positions lie side by side. [N,T,D]: a component's tokens lie D
  // apart.
  struct Output {
    std::string name;
    size_t size = 0;             // floats for one image
    size_t positions = 1;        // floats of the tensor for one of those
    size_t position_stride = 1;  // between them
    size_t averaged = 1;         // of them, the first ones

    absl::Status Learn(const std::vector<int64_t>& shape, size_t floats, size_t rows, const std::string& pooling) {
      if (shape.empty() || shape[0] != static_cast<int64_t>(rows) || floats == 0) {
        return absl::InvalidArgumentError("layer \"" + name + "\" has shape " + ShapeText(shape) +
                                          ", which has no row for each image");
      }
      if (shape.size() == 3 && pooling.empty()) {
        return absl::InvalidArgumentError("layer \"" + name + "\" gives tokens, of shape " + ShapeText(shape) +
                                          ": say in the card whether \"pooling\" is \"first\" or \"mean\"");
      }
      positions = shape.size() == 4   ? static_cast<size_t>(shape[2] * shape[3])
                  : shape.size() == 3 ? static_cast<size_t>(shape[1])
                                      : 1;
      size = floats / rows / positions;
      position_stride = shape.size() == 3 ? size : 1;
      averaged = shape.size() == 3 && pooling == "first" ? 1 : positions;
      return absl::OkStatus();
    }

    // One image's values to its vector.
    void Pool(const float* values, float* out) const {
      if (positions == 1) {
        std::copy_n(values, size, out);
        return;
      }
      for (size_t component = 0; component < size; ++component) {
        const float* first = values + component * (position_stride == 1 ? positions : 1);
        double sum = 0;
        for (size_t p = 0; p < averaged; ++p) sum += static_cast<double>(first[p * position_stride]);
        out[component] = static_cast<float>(sum / static_cast<double>(averaged));
      }
    }
  };

  absl::Status LearnOutputs(const std::string& pooling) {
    const size_t rows = std::max<size_t>(1, fixed_batch_);
    const std::vector<float> zeros(rows * input_size());
    const std::vector<Ort::Value> results = RunRows(zeros, rows);
    for (size_t i = 0; i < outputs_.size(); ++i) {
      const auto info = results[i].GetTensorTypeAndShapeInfo();
      LIKENESS_RETURN_IF_ERROR(outputs_[i].Learn(info.GetShape(), info.GetElementCount(), rows, pooling));
    }
    for (const size_t layer : layers_) output_size_ += outputs_[layer].size;
    return absl::OkStatus();
  }

  std::vector<Ort::Value> RunRows(std::span<const float> images, size_t rows) const {
    static const Ort::MemoryInfo memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    std::array<int64_t, 4> shape;
    std::ranges::copy(shape_, shape.begin());
    shape[0] = static_cast<int64_t>(rows);
    // ONNX Runtime does not write to its inputs.
    const Ort::Value input = Ort::Value::CreateTensor<float>(memory, const_cast<float*>(images.data()), images.size(),
                                                             shape.data(), shape.size());
    const char* const input_name = input_name_.c_str();
    std::vector<const char*> names;
    for (const Output& output : outputs_) names.push_back(output.name.c_str());
    return const_cast<Ort::Session&>(session_).Run(Ort::RunOptions(), &input_name, &input, 1, names.data(),
                                                   names.size());
  }

  absl::Status RunBatch(std::span<const float> images, size_t count, std::span<float> out) const {
    std::vector<float> padded;
    size_t rows = count;
    if (fixed_batch_ > count) {  // a model that insists on its batch gets zeros for the missing images
      rows = fixed_batch_;
      padded.assign(images.begin(), images.end());
      padded.resize(rows * input_size());
      images = padded;
    }
    const std::vector<Ort::Value> results = RunRows(images, rows);
    size_t column = 0;
    for (const size_t layer : layers_) {
      const Output& output = outputs_[layer];
      if (results[layer].GetTensorTypeAndShapeInfo().GetElementCount() != rows * output.size * output.positions) {
        return absl::InternalError("the model's layer changed its size from one run to the next");
      }
      const float* values = results[layer].GetTensorData<float>();
      for (size_t i = 0; i < count; ++i) {
        output.Pool(values + i * output.size * output.positions, out.data() + i * output_size_ + column);
      }
      column += output.size;
    }
    return absl::OkStatus();
  }

  Ort::Session session_;
  std::string input_name_;
  std::vector<Output> outputs_;  // of the session, in its order
  std::vector<size_t> layers_;   // which of them each asked layer is
  std::vector<int64_t> shape_;   // of the input, the batch as -1
  size_t fixed_batch_ = 0;       // 0: any
  size_t output_size_ = 0;       // of all layers
};

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> MakeOnnxRuntimeModel(std::span<const std::byte> file, const ModelCard& card,
                                                            std::span<const std::string> tensors, size_t threads) {
  LIKENESS_ASSIGN_OR_RETURN(const std::string cut, CutOnnxGraph(file, tensors));
  try {
    Ort::SessionOptions session_options;
    session_options.SetIntraOpNumThreads(static_cast<int>(std::max<size_t>(1, threads)));
    session_options.SetInterOpNumThreads(1);
    session_options.SetExecutionMode(ORT_SEQUENTIAL);
    session_options.SetGraphOptimizationLevel(ORT_ENABLE_ALL);
    session_options.AddConfigEntry("session.intra_op.allow_spinning",
                                   "0");  // waiting threads leave the cores to others
    auto model = std::make_unique<OnnxModel>(Ort::Session(Engine(), cut.data(), cut.size(), session_options));
    LIKENESS_RETURN_IF_ERROR(model->Prepare(card, tensors));
    return std::unique_ptr<Model>(std::move(model));
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("there is not enough memory to load the model");
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError("the model cannot be run: " + OneLine(error.what()));
  }
}

}  // namespace likeness
