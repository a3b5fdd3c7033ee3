#include "infer/recognize.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/file.h"
#include "infer/onnx_file.h"

namespace likeness {
namespace {

// What tells networks apart: the convolutions' weights, the dense layers, and where the poolings are.
struct Traits {
  std::vector<std::vector<int64_t>> convolutions;  // shapes of weights, in order
  std::vector<std::string> dense;                  // outputs, with the bias added
  std::vector<int64_t> dense_inputs;
  std::string last_max_pool, last_average;

  std::vector<int64_t> Filters() const {
    std::vector<int64_t> filters;
    for (const auto& shape : convolutions) filters.push_back(shape[0]);
    return filters;
  }
};

Traits TraitsOf(const OnnxFile& file) {
  Traits traits;
  const auto constant = [&](const OnnxNode& node, size_t input) -> const OnnxTensor* {
    if (input >= node.inputs.size()) return nullptr;
    const auto found = file.constants.find(node.inputs[input]);
    return found == file.constants.end() ? nullptr : &found->second;
  };
  for (const OnnxNode& node : file.nodes) {
    if (node.outputs.empty()) continue;
    const std::string output(node.outputs[0]);
    const OnnxTensor* weights = constant(node, 1);
    if (node.op == "Conv" && weights != nullptr && weights->shape.size() == 4) {
      traits.convolutions.push_back(weights->shape);
    } else if ((node.op == "Gemm" || node.op == "MatMul") && weights != nullptr && weights->shape.size() == 2) {
      traits.dense.push_back(output);
      const bool transposed = node.op == "Gemm" && node.Integer("transB", 0) != 0;
      traits.dense_inputs.push_back(weights->shape[transposed ? 1 : 0]);
    } else if (node.op == "Add" && !traits.dense.empty() && node.inputs[0] == traits.dense.back()) {
      traits.dense.back() = output;
    } else if (node.op == "MaxPool") {
      traits.last_max_pool = output;
    } else if (node.op == "AveragePool" || node.op == "GlobalAveragePool" || node.op == "ReduceMean") {
      traits.last_average = output;
    }
  }
  return traits;
}

void PrepareAs(ModelInput& input, bool torch) {
  if (torch) {
    input.mean = {123.675f, 116.28f, 103.53f};
    input.scale = {0.017124754f, 0.017507003f, 0.017429194f};
  } else {
    input.channel_order = "BGR";
    input.mean = {104, 117, 123};
  }
}

bool FillIn(const Traits& traits, ModelCard& card) {
  const auto filters = traits.Filters();
  const std::vector<int64_t> vgg16 = {64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512};
  const bool caffe_alexnet = filters == std::vector<int64_t>{96, 256, 384, 384, 256};
  const bool torch_alexnet = filters == std::vector<int64_t>{64, 192, 384, 256, 256};
  if (traits.dense.size() == 3 && !traits.last_max_pool.empty() &&
      (filters == vgg16 || caffe_alexnet || torch_alexnet)) {
    card.name = filters == vgg16 ? "vgg16" : "alexnet";
    card.description = filters == vgg16 ? "VGG-16 (K. Simonyan and A. Zisserman, ICLR 2015)"
                                        : "AlexNet (A. Krizhevsky et al., NIPS 2012)";
    PrepareAs(card.input, torch_alexnet);
    card.layer = "fc6";
    card.layers = {
        {"pool5", traits.last_max_pool}, {"fc6", traits.dense[0]}, {"fc7", traits.dense[1]}, {"fc8", traits.dense[2]}};
    return true;
  }
  // Twice two and nine times six convolutions; two more classifiers may hang on its sides while it is trained.
  if (filters.size() >= 57 && filters[0] == 64 && filters[1] == 64 && filters[2] == 192 && !traits.dense.empty() &&
      !traits.last_average.empty() && traits.dense_inputs.back() == 1024) {
    card.name = "googlenet";
    card.description = "GoogLeNet (C. Szegedy et al., CVPR 2015)";
    PrepareAs(card.input, false);
    card.layer = "pool5";
    card.layers = {{"pool5", traits.last_average}, {"classifier", traits.dense.back()}};
    return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<ModelCard> RecognizeModel(const std::filesystem::path& weights) {
  LIKENESS_ASSIGN_OR_RETURN(const auto file, MappedFile::Open(weights));
  const auto onnx = ReadOnnxFile(file->bytes());
  if (!onnx.ok()) return Annotate(onnx.status(), weights.string());
  ModelCard card;
  if (onnx->inputs.size() != 1 || onnx->inputs[0].shape.size() != 4 || !FillIn(TraitsOf(*onnx), card)) {
    return absl::NotFoundError(weights.string() +
                               " is none of the networks that are recognized (alexnet, googlenet, vgg16)" +
                               "; describe its input and layer yourself");
  }
  card.input.name = std::string(onnx->inputs[0].name);
  const auto& shape = onnx->inputs[0].shape;
  const uint32_t usual = card.name == "alexnet" && card.input.channel_order == "BGR" ? 227 : 224;
  card.input.height = shape[2] > 0 && shape[2] <= 4096 ? static_cast<uint32_t>(shape[2]) : usual;
  card.input.width = shape[3] > 0 && shape[3] <= 4096 ? static_cast<uint32_t>(shape[3]) : usual;
  card.sha256 = Sha256Hex(file->bytes());
  return card;
}

}  // namespace likeness
