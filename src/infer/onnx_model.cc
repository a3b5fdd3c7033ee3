#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <vector>

#include "base/bytes.h"
#include "base/file.h"
#include "base/log.h"
#include "infer/model.h"
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
  absl::Status Prepare(const ModelCard& card) {
    const Ort::AllocatorWithDefaultOptions allocator;
    if (session_.GetInputCount() != 1) {
      return absl::InvalidArgumentError("the model has " + std::to_string(session_.GetInputCount()) +
                                        " inputs; only models with one are read");
    }
    input_name_ = session_.GetInputNameAllocated(0, allocator).get();
    output_name_ = session_.GetOutputNameAllocated(0, allocator).get();
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
    const Ort::TypeInfo output_type = session_.GetOutputTypeInfo(0);
    if (output_type.GetONNXType() != ONNX_TYPE_TENSOR ||
        output_type.GetTensorTypeAndShapeInfo().GetElementType() != ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT) {
      return absl::InvalidArgumentError("layer \"" + output_name_ + "\" does not give 32-bit floats");
    }
    return LearnOutput(card.pooling);
  }

  size_t input_size() const override { return static_cast<size_t>(shape_[1] * shape_[2] * shape_[3]); }
  size_t output_size() const override { return output_size_; }
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
  absl::Status LearnOutput(const std::string& pooling) {
    const size_t rows = std::max<size_t>(1, fixed_batch_);
    const std::vector<float> zeros(rows * input_size());
    const Ort::Value result = RunRows(zeros, rows);
    const std::vector<int64_t> shape = result.GetTensorTypeAndShapeInfo().GetShape();
    const size_t floats = result.GetTensorTypeAndShapeInfo().GetElementCount();
    if (shape.empty() || shape[0] != static_cast<int64_t>(rows) || floats == 0) {
      return absl::InvalidArgumentError("layer \"" + output_name_ + "\" has shape " + ShapeText(shape) +
                                        ", which has no row for each image");
    }
    if (shape.size() == 3 && pooling.empty()) {
      return absl::InvalidArgumentError("layer \"" + output_name_ + "\" gives tokens, of shape " + ShapeText(shape) +
                                        ": say in the card whether \"pooling\" is \"first\" or \"mean\"");
    }
    // [N,C,H,W]: a channel's positions lie side by side. [N,T,D]: a component's tokens lie D apart.
    positions_ = shape.size() == 4   ? static_cast<size_t>(shape[2] * shape[3])
                 : shape.size() == 3 ? static_cast<size_t>(shape[1])
                                     : 1;
    output_size_ = floats / rows / positions_;
    position_stride_ = shape.size() == 3 ? output_size_ : 1;
    averaged_ = shape.size() == 3 && pooling == "first" ? 1 : positions_;
    return absl::OkStatus();
  }

  Ort::Value RunRows(std::span<const float> images, size_t rows) const {
    static const Ort::MemoryInfo memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    std::array<int64_t, 4> shape;
    std::ranges::copy(shape_, shape.begin());
    shape[0] = static_cast<int64_t>(rows);
    // ONNX Runtime does not write to its inputs.
    const Ort::Value input = Ort::Value::CreateTensor<float>(memory, const_cast<float*>(images.data()), images.size(),
                                                             shape.data(), shape.size());
    const char* const input_name = input_name_.c_str();
    const char* const output_name = output_name_.c_str();
    auto outputs = const_cast<Ort::Session&>(session_).Run(Ort::RunOptions(), &input_name, &input, 1, &output_name, 1);
    return std::move(outputs.front());
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
    const Ort::Value result = RunRows(images, rows);
    if (result.GetTensorTypeAndShapeInfo().GetElementCount() != rows * output_size_ * positions_) {
      return absl::InternalError("the model's layer changed its size from one run to the next");
    }
    const float* values = result.GetTensorData<float>();
    if (positions_ == 1) {
      std::copy_n(values, out.size(), out.begin());
      return absl::OkStatus();
    }
    for (size_t i = 0; i < out.size(); ++i) {
      const size_t image = i / output_size_, component = i % output_size_;
      const float* first =
          values + image * output_size_ * positions_ + component * (position_stride_ == 1 ? positions_ : 1);
      double sum = 0;
      for (size_t p = 0; p < averaged_; ++p) sum += static_cast<double>(first[p * position_stride_]);
      out[i] = static_cast<float>(sum / static_cast<double>(averaged_));
    }
    return absl::OkStatus();
  }

  Ort::Session session_;
  std::string input_name_, output_name_;
  std::vector<int64_t> shape_;  // of the input, the batch as -1
  size_t fixed_batch_ = 0;      // 0: any
  size_t output_size_ = 0;
  size_t positions_ = 1;        // floats that the layer gives for one of the output
  size_t position_stride_ = 1;  // between them
  size_t averaged_ = 1;         // of them, the first ones
};

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> LoadOnnxModel(const std::filesystem::path& path, const ModelCard& card,
                                                     std::string_view layer, const ModelOptions& options) {
  auto file = MappedFile::Open(path);
  if (!file.ok()) return file.status();
  const std::span<const std::byte> bytes = (*file)->bytes();
  if (options.verify_checksum && Sha256Hex(bytes) != card.sha256) {
    return absl::InvalidArgumentError(path.string() + " is not the file that the card of model \"" + card.name +
                                      "\" describes: its SHA-256 differs");
  }
  auto cut = CutOnnxGraph(bytes, card.TensorOf(layer));
  if (!cut.ok()) return Annotate(cut.status(), path.string());
  try {
    Ort::SessionOptions session_options;
    session_options.SetIntraOpNumThreads(static_cast<int>(std::max<size_t>(1, options.threads)));
    session_options.SetInterOpNumThreads(1);
    session_options.SetExecutionMode(ORT_SEQUENTIAL);
    session_options.SetGraphOptimizationLevel(ORT_ENABLE_ALL);
    session_options.AddConfigEntry("session.intra_op.allow_spinning",
                                   "0");  // waiting threads leave the cores to others
    auto model = std::make_unique<OnnxModel>(Ort::Session(Engine(), cut->data(), cut->size(), session_options));
    if (const absl::Status status = model->Prepare(card); !status.ok()) return Annotate(status, path.string());
    if (card.dimension != 0 && card.TensorOf(layer) == card.TensorOf({}) && model->output_size() != card.dimension) {
      return absl::InvalidArgumentError(path.string() + ": layer \"" + card.layer + "\" gives " +
                                        std::to_string(model->output_size()) + " floats and the card says " +
                                        std::to_string(card.dimension));
    }
    return std::unique_ptr<Model>(std::move(model));
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("there is not enough memory to load " + path.string());
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(path.string() + " cannot be run: " + OneLine(error.what()));
  }
}

}  // namespace likeness
