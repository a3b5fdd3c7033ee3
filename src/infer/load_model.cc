// Which executor a file goes to.
#include <algorithm>
#include <array>
#include <future>

#include "base/bytes.h"
#include "base/file.h"
#include "base/log.h"
#include "infer/model.h"
#include "infer/network.h"
#include "infer/onednn_model.h"
#include "infer/onnx_graph.h"
#include "infer/onnx_model.h"
#include "infer/tile_choice.h"
#include "infer/typical_image.h"

namespace likeness {
namespace {

constexpr std::array<std::pair<std::string_view, Executor>, 3> kExecutors = {
    {{"auto", Executor::kAuto}, {"onednn", Executor::kOneDnn}, {"onnxruntime", Executor::kOnnxRuntime}}};

absl::StatusOr<std::unique_ptr<Model>> LoadWithOneDnn(std::shared_ptr<const MappedFile> file, const ModelCard& card,
                                                      std::span<const std::string> tensors,
                                                      const ModelOptions& options) {
  if (card.input.layout != "NCHW") return absl::UnimplementedError("its input is not laid out as NCHW");
  LIKENESS_ASSIGN_OR_RETURN(const OnnxFile onnx, ReadOnnxFile(file->bytes()));
  if (onnx.inputs.size() == 1 && onnx.inputs[0].name != card.input.name) {
    return absl::UnimplementedError("its input has another name than the card says");
  }
  const Extent input = {3, card.input.height, card.input.width};
  LIKENESS_ASSIGN_OR_RETURN(Network network, BuildNetwork(onnx, tensors, input));
  FuseSteps(network);
  const bool bf16 = options.precision.value_or(card.precision) == Precision::kBf16 && HasFastBf16();
  OneDnnOptions used{.threads = options.threads, .bf16 = bf16};
  if (bf16 && !CenteredValues(network).empty()) used.typical = TypicalImage(card.input);
  return MakeOneDnnModel(std::move(network), std::move(file), used);
}

absl::Status CheckDimension(const ModelCard& card, std::span<const std::string> tensors, const Model& model) {
  const auto sizes = model.layer_sizes();
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (card.dimension != 0 && tensors[i] == card.TensorOf({}) && sizes[i] != card.dimension) {
      return absl::InvalidArgumentError("layer \"" + card.layer + "\" gives " + std::to_string(sizes[i]) +
                                        " floats and the card says " + std::to_string(card.dimension));
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::string_view ExecutorName(Executor executor) {
  return std::ranges::find(kExecutors, executor, [](const auto& pair) { return pair.second; })->first;
}

absl::StatusOr<Executor> ParseExecutor(std::string_view name) {
  const auto found = std::ranges::find(kExecutors, name, [](const auto& pair) { return pair.first; });
  if (found != kExecutors.end()) return found->second;
  return absl::InvalidArgumentError("there is no executor \"" + std::string(name) +
                                    "\"; say auto, onednn or onnxruntime");
}

absl::StatusOr<std::unique_ptr<Model>> LoadModel(const std::filesystem::path& path, const ModelCard& card,
                                                 const ModelOptions& options) {
  LIKENESS_ASSIGN_OR_RETURN(const std::shared_ptr<const MappedFile> file, MappedFile::Open(path));
  // Looking through a large file takes long: with threads to spare the network is made meanwhile.
  std::future<bool> described;
  if (options.verify_checksum) {
    const auto spare = options.threads > 1 ? std::launch::async | std::launch::deferred : std::launch::deferred;
    described = std::async(spare, [&] { return Sha256Hex(file->bytes()) == card.sha256; });
  }
  const auto check = [&]() -> absl::Status {
    if (!described.valid() || described.get()) return absl::OkStatus();
    return absl::InvalidArgumentError(path.string() + " is not the file that the card of model \"" + card.name +
                                      "\" describes: its SHA-256 differs");
  };
  if (options.threads <= 1) LIKENESS_RETURN_IF_ERROR(check());
  std::vector<std::string> tensors;
  for (const std::string& layer : options.layers) tensors.push_back(card.TensorOf(layer));
  if (tensors.empty()) tensors.push_back(card.TensorOf({}));
  absl::StatusOr<std::unique_ptr<Model>> model = absl::UnimplementedError("");
  if (options.executor != Executor::kOnnxRuntime) {
    model = LoadWithOneDnn(file, card, tensors, options);
    LIKENESS_RETURN_IF_ERROR(check());
    if (!model.ok() && options.executor == Executor::kOneDnn) return Annotate(model.status(), path.string());
  }
  if (!model.ok()) {
    LIKENESS_RETURN_IF_ERROR(check());
    const std::string reason = MessageOf(model.status());
    model = MakeOnnxRuntimeModel(file->bytes(), card, tensors, options.threads);
    if (!model.ok()) return Annotate(model.status(), path.string());
    if (!reason.empty()) Log(LogLevel::kInfo, "model_runs_on_onnxruntime", {{"model", card.name}, {"reason", reason}});
  }
  if (const absl::Status status = CheckDimension(card, tensors, **model); !status.ok()) {
    return Annotate(status, path.string());
  }
  return model;
}

absl::StatusOr<std::unique_ptr<Model>> LoadOnnxModel(const std::filesystem::path& path, const ModelCard& card,
                                                     std::string_view layer, const ModelOptions& options) {
  ModelOptions used = options;
  used.executor = Executor::kOnnxRuntime;
  if (!layer.empty()) used.layers.insert(used.layers.begin(), std::string(layer));
  return LoadModel(path, card, used);
}

}  // namespace likeness
