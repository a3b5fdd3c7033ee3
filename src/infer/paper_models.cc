#include "infer/paper_models.h"

#include <algorithm>

#include "base/bytes.h"
#include "infer/onnx_writer.h"

namespace likeness {
namespace {

using Pads = std::vector<int64_t>;

// Pixels as Caffe's models take them, and as PyTorch's do. With seeded weights neither is truer than the other; a
// user's own file needs the one that it was trained with.
void CaffeInput(ModelCard& card, uint32_t side) {
  card.input = {.name = "data", .width = side, .height = side, .channel_order = "BGR", .mean = {104, 117, 123}};
}
void TorchInput(ModelCard& card, uint32_t side) {
  card.input = {.name = "input",
                .width = side,
                .height = side,
                .mean = {123.675f, 116.28f, 103.53f},
                .scale = {0.017124754f, 0.017507003f, 0.017429194f}};
}

// Layers in the way of the graphs below: convolution, then its activation in place of it.
class Net : public OnnxWriter {
 public:
  using OnnxWriter::OnnxWriter;

  std::string Relu(const std::string& input) { return Node("Relu", {input}, input + ".relu"); }
  std::string ConvRelu(const std::string& input, const std::string& name, const ConvolutionShape& shape) {
    return Relu(Convolution(input, name, shape));
  }
  // Without a bias, with batch norm.
  std::string ConvNorm(const std::string& input, const std::string& name, ConvolutionShape shape) {
    shape.biased = false;
    return BatchNorm(Convolution(input, name, shape), name + ".norm", shape.out);
  }
  std::string MaxPool(const std::string& input, const std::string& name, int64_t kernel, int64_t stride,
                      int64_t pad = 0, bool ceil = false) {
    return Node("MaxPool", {input}, name,
                {{"kernel_shape", Pads{kernel, kernel}},
                 {"strides", Pads{stride, stride}},
                 {"pads", Pads{pad, pad, pad, pad}},
                 {"ceil_mode", int64_t{ceil}}});
  }
  std::string Normalize(const std::string& input, const std::string& name) {
    return Node("LRN", {input}, name, {{"size", int64_t{5}}, {"alpha", 1e-4f}, {"beta", 0.75f}, {"bias", 1.f}});
  }
  std::string Clip6(const std::string& input) {
    if (!bounded_) {
      Constant("zero", {}, {0});
      Constant("six", {}, {6});
      bounded_ = true;
    }
    return Node("Clip", {input, "zero", "six"}, input + ".clip");
  }
  std::string HardSwish(const std::string& input) {  // as it was written before there was an operator for it
    const std::string gate = Node("HardSigmoid", {input}, input + ".gate", {{"alpha", 1.f / 6}, {"beta", 0.5f}});
    return Node("Mul", {input, gate}, input + ".hswish");
  }

 private:
  bool bounded_ = false;
};

// The last three layers of AlexNet and VGG-16, from a feature map.
std::string Classifier(Net& net, const std::string& map, int64_t inputs) {
  const std::string flat = net.Node("Flatten", {map}, "flat");
  const std::string fc6 = net.Relu(net.Dense(flat, "fc6", inputs, 4096));
  const std::string fc7 = net.Relu(net.Dense(net.Node("Dropout", {fc6}, "drop6"), "fc7", 4096, 4096));
  return net.Node("Softmax", {net.Dense(net.Node("Dropout", {fc7}, "drop7"), "fc8", 4096, 1000)}, "prob");
}

void FullyConnectedLayers(ModelCard& card) {
  card.layers = {{"default", "fc6"}, {"pool5", "pool5"}, {"fc6", "fc6"}, {"fc7", "fc7"}, {"fc8", "fc8"}};
  card.layer = "fc6";
  card.dimension = 4096;
}

std::string AlexNet(Net& net, ModelCard& card) {
  card.description = "AlexNet (A. Krizhevsky et al., NIPS 2012) in the form of Caffe's reference model";
  CaffeInput(card, 227);
  FullyConnectedLayers(card);
  std::string at = net.Input("data", 3, 227, 227);
  at = net.ConvRelu(at, "conv1", {.in = 3, .out = 96, .kernel = 11, .stride = 4, .gain = 1.f / 64});
  at = net.MaxPool(net.Normalize(at, "norm1"), "pool1", 3, 2);
  at = net.ConvRelu(at, "conv2", {.in = 96, .out = 256, .kernel = 5, .pad = 2, .groups = 2});
  at = net.MaxPool(net.Normalize(at, "norm2"), "pool2", 3, 2);
  at = net.ConvRelu(at, "conv3", {.in = 256, .out = 384, .kernel = 3, .pad = 1});
  at = net.ConvRelu(at, "conv4", {.in = 384, .out = 384, .kernel = 3, .pad = 1, .groups = 2});
  at = net.ConvRelu(at, "conv5", {.in = 384, .out = 256, .kernel = 3, .pad = 1, .groups = 2});
  return Classifier(net, net.MaxPool(at, "pool5", 3, 2), 256 * 6 * 6);
}

std::string Vgg16(Net& net, ModelCard& card) {
  card.description = "VGG-16 (K. Simonyan and A. Zisserman, ICLR 2015)";
  CaffeInput(card, 224);
  FullyConnectedLayers(card);
  std::string at = net.Input("data", 3, 224, 224);
  int64_t in = 3, block = 0;
  for (const auto& [layers, out] : {std::pair{2, 64}, {2, 128}, {3, 256}, {3, 512}, {3, 512}}) {
    ++block;
    for (int i = 1; i <= layers; ++i) {
      const std::string name = "conv" + std::to_string(block) + "_" + std::to_string(i);
      at = net.ConvRelu(at, name, {.in = in, .out = out, .kernel = 3, .pad = 1, .gain = in == 3 ? 1.f / 64 : 1});
      in = out;
    }
    at = net.MaxPool(at, "pool" + std::to_string(block), 2, 2);
  }
  return Classifier(net, at, 512 * 7 * 7);
}

std::string Inception(Net& net, const std::string& from, const std::string& name, int64_t in,
                      const std::array<int64_t, 6>& sizes) {
  const std::string prefix = "inception_" + name + "/";
  const std::string one = net.ConvRelu(from, prefix + "1x1", {.in = in, .out = sizes[0]});
  const std::string three = net.ConvRelu(from, prefix + "3x3_reduce", {.in = in, .out = sizes[1]});
  const std::string wide =
      net.ConvRelu(three, prefix + "3x3", {.in = sizes[1], .out = sizes[2], .kernel = 3, .pad = 1});
  const std::string five = net.ConvRelu(from, prefix + "5x5_reduce", {.in = in, .out = sizes[3]});
  const std::string wider =
      net.ConvRelu(five, prefix + "5x5", {.in = sizes[3], .out = sizes[4], .kernel = 5, .pad = 2});
  const std::string pool = net.MaxPool(from, prefix + "pool", 3, 1, 1);
  const std::string projected = net.ConvRelu(pool, prefix + "pool_proj", {.in = in, .out = sizes[5]});
  return net.Node("Concat", {one, wide, wider, projected}, prefix + "output", {{"axis", int64_t{1}}});
}

std::string GoogLeNet(Net& net, ModelCard& card) {
  card.description = "GoogLeNet (C. Szegedy et al., CVPR 2015) in the form of Caffe's model";
  CaffeInput(card, 224);
  card.layers = {{"default", "pool5/7x7_s1"}, {"pool5", "pool5/7x7_s1"}, {"classifier", "loss3/classifier"}};
  card.layer = "pool5/7x7_s1";
  card.dimension = 1024;
  std::string at = net.Input("data", 3, 224, 224);
  at = net.ConvRelu(at, "conv1/7x7_s2", {.in = 3, .out = 64, .kernel = 7, .stride = 2, .pad = 3, .gain = 1.f / 64});
  at = net.Normalize(net.MaxPool(at, "pool1/3x3_s2", 3, 2, 0, true), "pool1/norm1");
  at = net.ConvRelu(at, "conv2/3x3_reduce", {.in = 64, .out = 64});
  at = net.ConvRelu(at, "conv2/3x3", {.in = 64, .out = 192, .kernel = 3, .pad = 1});
  at = net.MaxPool(net.Normalize(at, "conv2/norm2"), "pool2/3x3_s2", 3, 2, 0, true);
  at = Inception(net, at, "3a", 192, {64, 96, 128, 16, 32, 32});
  at = Inception(net, at, "3b", 256, {128, 128, 192, 32, 96, 64});
  at = net.MaxPool(at, "pool3/3x3_s2", 3, 2, 0, true);
  at = Inception(net, at, "4a", 480, {192, 96, 208, 16, 48, 64});
  at = Inception(net, at, "4b", 512, {160, 112, 224, 24, 64, 64});
  at = Inception(net, at, "4c", 512, {128, 128, 256, 24, 64, 64});
  at = Inception(net, at, "4d", 512, {112, 144, 288, 32, 64, 64});
  at = Inception(net, at, "4e", 528, {256, 160, 320, 32, 128, 128});
  at = net.MaxPool(at, "pool4/3x3_s2", 3, 2, 0, true);
  at = Inception(net, at, "5a", 832, {256, 160, 320, 32, 128, 128});
  at = Inception(net, at, "5b", 832, {384, 192, 384, 48, 128, 128});
  at = net.Node("AveragePool", {at}, "pool5/7x7_s1", {{"kernel_shape", Pads{7, 7}}, {"strides", Pads{1, 1}}});
  at = net.Node("Reshape", {net.Node("Dropout", {at}, "drop5"), net.Constant("vector", {0, -1})}, "flat");
  return net.Node("Softmax", {net.Dense(at, "loss3/classifier", 1024, 1000)}, "prob");
}

void PooledLayers(ModelCard& card, uint32_t dimension) {
  card.layers = {{"default", "pooled"}, {"pooled", "pooled"}, {"classifier", "logits"}};
  card.layer = "pooled";
  card.dimension = dimension;
}

std::string PoolAndClassify(Net& net, const std::string& map, int64_t channels) {
  const std::string pooled = net.Node("GlobalAveragePool", {map}, "pooled");
  return net.Dense(net.Node("Flatten", {pooled}, "flat"), "logits", channels, 1000);
}

std::string ResNet50(Net& net, ModelCard& card) {
  card.description = "ResNet-50 (K. He et al., CVPR 2016)";
  TorchInput(card, 224);
  PooledLayers(card, 2048);
  std::string at = net.Input("input", 3, 224, 224);
  at = net.Relu(net.ConvNorm(at, "conv1", {.in = 3, .out = 64, .kernel = 7, .stride = 2, .pad = 3}));
  at = net.MaxPool(at, "pool1", 3, 2, 1);
  int64_t in = 64, stage = 1;
  for (const auto& [blocks, width] : {std::pair{3, 64}, {4, 128}, {6, 256}, {3, 512}}) {
    ++stage;
    for (int i = 0; i < blocks; ++i) {
      const std::string name = "stage" + std::to_string(stage) + "." + std::to_string(i);
      const int64_t stride = i == 0 && stage > 2 ? 2 : 1, out = int64_t{4} * width;
      std::string way = net.Relu(net.ConvNorm(at, name + ".a", {.in = in, .out = width}));
      way = net.Relu(
          net.ConvNorm(way, name + ".b", {.in = width, .out = width, .kernel = 3, .stride = stride, .pad = 1}));
      way = net.ConvNorm(way, name + ".c", {.in = width, .out = out, .gain = 0.5f});
      if (i == 0) at = net.ConvNorm(at, name + ".shortcut", {.in = in, .out = out, .stride = stride, .gain = 0.7f});
      at = net.Relu(net.Node("Add", {way, at}, name + ".sum"));
      in = out;
    }
  }
  return PoolAndClassify(net, at, 2048);
}

std::string MobileNetV2(Net& net, ModelCard& card) {
  card.description = "MobileNetV2 1.0 (M. Sandler et al., CVPR 2018)";
  TorchInput(card, 224);
  PooledLayers(card, 1280);
  std::string at = net.Input("input", 3, 224, 224);
  at = net.Clip6(net.ConvNorm(at, "first", {.in = 3, .out = 32, .kernel = 3, .stride = 2, .pad = 1}));
  struct Group {
    int64_t expand, out, blocks, stride;
  };
  int64_t in = 32, count = 0;
  for (const Group& g : {Group{1, 16, 1, 1},
                         {6, 24, 2, 2},
                         {6, 32, 3, 2},
                         {6, 64, 4, 2},
                         {6, 96, 3, 1},
                         {6, 160, 3, 2},
                         {6, 320, 1, 1}}) {
    for (int64_t i = 0; i < g.blocks; ++i) {
      const std::string name = "block" + std::to_string(++count);
      const int64_t wide = in * g.expand, stride = i == 0 ? g.stride : 1;
      std::string way = at;
      if (g.expand > 1) way = net.Clip6(net.ConvNorm(way, name + ".expand", {.in = in, .out = wide}));
      way = net.Clip6(net.ConvNorm(way, name + ".depth",
                                   {.in = wide, .out = wide, .kernel = 3, .stride = stride, .pad = 1, .groups = wide}));
      way = net.ConvNorm(way, name + ".project", {.in = wide, .out = g.out, .gain = 0.7f});
      at = in == g.out && stride == 1 ? net.Node("Add", {at, way}, name + ".sum") : way;
      in = g.out;
    }
  }
  return PoolAndClassify(net, net.Clip6(net.ConvNorm(at, "last", {.in = in, .out = 1280})), 1280);
}

std::string MobileNetV3(Net& net, ModelCard& card) {
  card.description = "MobileNetV3 small (A. Howard et al., ICCV 2019)";
  TorchInput(card, 224);
  PooledLayers(card, 576);
  std::string at = net.Input("input", 3, 224, 224);
  at = net.HardSwish(net.ConvNorm(at, "first", {.in = 3, .out = 16, .kernel = 3, .stride = 2, .pad = 1}));
  struct Block {
    int64_t kernel, wide, out, stride;
    bool squeeze, hard;
  };
  int64_t in = 16, count = 0;
  for (const Block& b : {Block{3, 16, 16, 2, true, false},
                         {3, 72, 24, 2, false, false},
                         {3, 88, 24, 1, false, false},
                         {5, 96, 40, 2, true, true},
                         {5, 240, 40, 1, true, true},
                         {5, 240, 40, 1, true, true},
                         {5, 120, 48, 1, true, true},
                         {5, 144, 48, 1, true, true},
                         {5, 288, 96, 2, true, true},
                         {5, 576, 96, 1, true, true},
                         {5, 576, 96, 1, true, true}}) {
    const std::string name = "block" + std::to_string(++count);
    const auto curve = [&](const std::string& x) { return b.hard ? net.HardSwish(x) : net.Relu(x); };
    std::string way = b.wide == in ? at : curve(net.ConvNorm(at, name + ".expand", {.in = in, .out = b.wide}));
    way = curve(net.ConvNorm(
        way, name + ".depth",
        {.in = b.wide, .out = b.wide, .kernel = b.kernel, .stride = b.stride, .pad = b.kernel / 2, .groups = b.wide}));
    if (b.squeeze) {
      const int64_t narrow = std::max<int64_t>(8, b.wide / 32 * 8);
      const std::string mean = net.Node("ReduceMean", {way}, name + ".mean", {{"axes", Pads{2, 3}}});
      const std::string reduced = net.ConvRelu(mean, name + ".reduce", {.in = b.wide, .out = narrow});
      const std::string gate =
          net.Node("HardSigmoid", {net.Convolution(reduced, name + ".gate", {.in = narrow, .out = b.wide})},
                   name + ".factor", {{"alpha", 1.f / 6}, {"beta", 0.5f}});
      way = net.Node("Mul", {gate, way}, name + ".scaled");
    }
    way = net.ConvNorm(way, name + ".project", {.in = b.wide, .out = b.out});
    at = in == b.out && b.stride == 1 ? net.Node("Add", {way, at}, name + ".sum") : way;
    in = b.out;
  }
  return PoolAndClassify(net, net.HardSwish(net.ConvNorm(at, "last", {.in = in, .out = 576})), 576);
}

std::string SqueezeNet(Net& net, ModelCard& card) {
  card.description = "SqueezeNet 1.1 (F. Iandola et al., 2016)";
  TorchInput(card, 224);
  card.layers = {{"default", "fire9"}, {"features", "fire9"}, {"classifier", "logits"}};
  card.layer = "fire9";
  card.dimension = 512;
  std::string at = net.Input("input", 3, 224, 224);
  at = net.ConvRelu(at, "conv1", {.in = 3, .out = 64, .kernel = 3, .stride = 2});
  int64_t in = 64, count = 1;
  for (const auto& [narrow, wide, pool] : {std::tuple{16, 64, true},
                                           {16, 64, false},
                                           {32, 128, true},
                                           {32, 128, false},
                                           {48, 192, true},
                                           {48, 192, false},
                                           {64, 256, false},
                                           {64, 256, false}}) {
    const std::string name = "fire" + std::to_string(++count);
    if (pool) at = net.MaxPool(at, name + ".pool", 3, 2, 0, true);
    const std::string squeezed = net.ConvRelu(at, name + ".squeeze", {.in = in, .out = narrow});
    at = net.Node("Concat",
                  {net.ConvRelu(squeezed, name + ".one", {.in = narrow, .out = wide}),
                   net.ConvRelu(squeezed, name + ".three", {.in = narrow, .out = wide, .kernel = 3, .pad = 1})},
                  name, {{"axis", int64_t{1}}});
    in = int64_t{2} * wide;
  }
  at = net.ConvRelu(at, "conv10", {.in = in, .out = 1000});
  return net.Node("Flatten", {net.Node("GlobalAveragePool", {at}, "pool10")}, "logits");
}

constexpr std::pair<std::string_view, std::string (*)(Net&, ModelCard&)> kModels[] = {{"alexnet", AlexNet},
                                                                                      {"googlenet", GoogLeNet},
                                                                                      {"mobilenet_v2", MobileNetV2},
                                                                                      {"mobilenet_v3", MobileNetV3},
                                                                                      {"resnet50", ResNet50},
                                                                                      {"squeezenet", SqueezeNet},
                                                                                      {"vgg16", Vgg16}};

}  // namespace

std::vector<std::string> BuildableModels() {
  std::vector<std::string> names;
  for (const auto& [name, build] : kModels) names.emplace_back(name);
  return names;
}

absl::StatusOr<BuiltModel> BuildModel(std::string_view name, uint64_t seed) {
  const auto found = std::ranges::find(kModels, name, [](const auto& model) { return model.first; });
  if (found == std::end(kModels)) {
    std::string known;
    for (const std::string& there : BuildableModels()) known += (known.empty() ? "" : ", ") + there;
    return absl::NotFoundError("no network \"" + std::string(name) + "\" can be built; there are " + known);
  }
  Net net(seed);
  BuiltModel built;
  built.card.name = std::string(name);
  built.card.licence = "Apache-2.0";
  built.card.source = {{"kind", "seeded"}, {"seed", std::to_string(seed)}};
  const std::string output = found->second(net, built.card);
  built.card.description += ", with random weights";
  built.file = net.Finish({output});
  built.card.sha256 = Sha256Hex(AsBytes(built.file));
  return built;
}

}  // namespace likeness
