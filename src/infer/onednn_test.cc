// The oneDNN executor agrees with ONNX Runtime on every operator and on whole networks, in both precisions, from any
// thread and for any number of images; what it cannot run it leaves to ONNX Runtime. CTest runs these once more for
// each level of LIKENESS_CPU.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "base/bytes.h"
#include "base/file.h"
#include "base/random.h"
#include "infer/dense.h"
#include "infer/depthwise.h"
#include "infer/model.h"
#include "infer/network.h"
#include "infer/onednn_model.h"
#include "infer/onnx_writer.h"
#include "infer/paper_models.h"
#include "infer/tile_choice.h"
#include "infer/typical_image.h"
#include "support/scratch_folder.h"
#include "support/tiny_model.h"

namespace likeness {
namespace {

using testing::HasSubstr;
using Pads = std::vector<int64_t>;

double Cosine(std::span<const float> a, std::span<const float> b) {
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return aa == 0 && bb == 0 ? 1 : ab / std::sqrt(aa * bb);
}

// Smooth blobs: neighbouring pixels are alike, as in pictures.
std::vector<float> Images(size_t count, size_t channels, size_t side, uint64_t seed) {
  Random random(seed);
  std::vector<float> images(count * channels * side * side);
  for (size_t plane = 0; plane < count * channels; ++plane) {
    const double a = random.Normal() / 9, b = random.Normal() / 9, c = random.Normal();
    for (size_t i = 0; i < side * side; ++i) {
      const double x = static_cast<double>(i % side), y = static_cast<double>(i / side);
      images[plane * side * side + i] =
          static_cast<float>(std::sin(a * x + c) + std::cos(b * y) + random.Normal() / 10);
    }
  }
  return images;
}

struct Graph {
  const char* name;
  std::string (*build)(OnnxWriter&, const std::string& image);  // from f32[N,3,20,20]
};

std::string Conv(OnnxWriter& net, const std::string& from, const std::string& to, OnnxWriter::ConvolutionShape shape) {
  return net.Convolution(from, to, shape);
}

const Graph kGraphs[] = {
    {"convolution",
     [](OnnxWriter& net, const std::string& image) {
       return Conv(net, image, "out", {.in = 3, .out = 21, .kernel = 5, .stride = 2, .pad = 2});
     }},
    {"groups",
     [](OnnxWriter& net, const std::string& image) {
       const std::string a =
           net.Node("Relu", {Conv(net, image, "a", {.in = 3, .out = 32, .kernel = 3, .pad = 1})}, "b");
       return Conv(net, a, "out", {.in = 32, .out = 48, .kernel = 3, .groups = 2});
     }},
    {"uneven_padding",
     [](OnnxWriter& net, const std::string& image) {
       const std::string weights = net.Constant("w", {4, 3, 3, 3}, std::vector<float>(108, 0.1f));
       return net.Node("Conv", {image, weights}, "out",
                       {{"auto_pad", std::string("SAME_UPPER")}, {"strides", Pads{2, 2}}});
     }},
    {"dilation",
     [](OnnxWriter& net, const std::string& image) {
       const std::string weights = net.Constant("w", {4, 3, 3, 3}, std::vector<float>(108, 0.1f));
       return net.Node("Conv", {image, weights}, "out", {{"dilations", Pads{2, 2}}, {"pads", Pads{1, 2, 0, 1}}});
     }},
    {"pad_before",
     [](OnnxWriter& net, const std::string& image) {
       const std::string padded = net.Node("Pad", {image, net.Constant("pads", {0, 0, 1, 0, 0, 0, 2, 1})}, "padded");
       return Conv(net, padded, "out", {.in = 3, .out = 8, .kernel = 3, .stride = 2});
     }},
    {"depthwise",
     [](OnnxWriter& net, const std::string& image) {
       const std::string a = net.Node("Relu", {Conv(net, image, "a", {.in = 3, .out = 40})}, "b");
       const std::string c = net.BatchNorm(
           Conv(net, a, "c", {.in = 40, .out = 40, .kernel = 5, .stride = 2, .pad = 2, .groups = 40, .biased = false}),
           "d", 40);
       return Conv(net, net.Node("Mul", {net.Node("HardSigmoid", {c}, "g", {{"alpha", 1.f / 6}}), c}, "e"), "out",
                   {.in = 40, .out = 24});
     }},
    {"residual",
     [](OnnxWriter& net, const std::string& image) {
       const std::string a =
           net.Node("Relu", {Conv(net, image, "a", {.in = 3, .out = 32, .kernel = 3, .pad = 1})}, "b");
       const std::string c = net.BatchNorm(Conv(net, a, "c", {.in = 32, .out = 32, .kernel = 3, .pad = 1}), "d", 32);
       const std::string sum = net.Node("Relu", {net.Node("Add", {c, a}, "sum")}, "relu");
       // Read twice behind the sum, and once more in front of it.
       return net.Node("Add", {net.Node("Sum", {Conv(net, sum, "e", {.in = 32, .out = 32}), sum}, "f"), a}, "out");
     }},
    {"norm_first",
     [](OnnxWriter& net, const std::string& image) {
       const std::string a = net.Node("MaxPool", {image}, "a", {{"kernel_shape", Pads{2, 2}}});
       return Conv(net, net.Node("Relu", {net.BatchNorm(a, "b", 3)}, "c"), "out", {.in = 3, .out = 8});
     }},
    {"pools",
     [](OnnxWriter& net, const std::string& image) {
       const std::string a = Conv(net, image, "a", {.in = 3, .out = 17});
       const auto shape = [](bool ceil) { return std::pair<Pads, int64_t>{Pads{3, 3}, ceil ? 1 : 0}; };
       const std::string b =
           net.Node("MaxPool", {a}, "b",
                    {{"kernel_shape", shape(true).first}, {"strides", Pads{2, 2}}, {"ceil_mode", int64_t{1}}});
       const std::string c =
           net.Node("AveragePool", {b}, "c", {{"kernel_shape", Pads{3, 3}}, {"pads", Pads{1, 1, 1, 1}}});
       return net.Node("AveragePool", {c}, "out",
                       {{"kernel_shape", Pads{3, 3}}, {"pads", Pads{1, 1, 1, 1}}, {"count_include_pad", int64_t{1}}});
     }},
    {"normalize",
     [](OnnxWriter& net, const std::string& image) {
       const std::string a = net.Node("Relu", {Conv(net, image, "a", {.in = 3, .out = 37, .gain = 20})}, "b");
       return net.Node("LRN", {net.Node("LRN", {a}, "c", {{"size", int64_t{5}}, {"alpha", 0.01f}, {"beta", 0.75f}})},
                       "out", {{"size", int64_t{3}}, {"alpha", 0.1f}, {"beta", 0.6f}, {"bias", 2.f}});
     }},
    {"join",
     [](OnnxWriter& net, const std::string& image) {
       const std::string a = Conv(net, image, "a", {.in = 3, .out = 16}),
                         b = Conv(net, image, "b", {.in = 3, .out = 20});
       const std::string c = net.Node("MaxPool", {a}, "c", {{"kernel_shape", Pads{3, 3}}, {"pads", Pads{1, 1, 1, 1}}});
       return Conv(net, net.Node("Concat", {a, b, c, image}, "d", {{"axis", int64_t{1}}}), "out", {.in = 55, .out = 9});
     }},
    {"squeeze",
     [](OnnxWriter& net, const std::string& image) {
       const std::string a = Conv(net, image, "a", {.in = 3, .out = 24, .kernel = 3});
       const std::string swish = net.Node("Mul", {net.Node("Sigmoid", {a}, "s"), a}, "b");
       const std::string mean = net.Node("GlobalAveragePool", {swish}, "c");
       const std::string gate = net.Node(
           "Sigmoid",
           {Conv(net, net.Node("Relu", {Conv(net, mean, "d", {.in = 24, .out = 8})}, "e"), "f", {.in = 8, .out = 24})},
           "g");
       return Conv(net, net.Node("Mul", {swish, gate}, "h"), "out", {.in = 24, .out = 12});
     }},
    {"old_hard_swish",
     [](OnnxWriter& net, const std::string& image) {
       const std::string a = Conv(net, image, "a", {.in = 3, .out = 24, .kernel = 3});
       const std::string zero = net.Constant("zero", {}, {0}), six = net.Constant("six", {}, {6}),
                         three = net.Constant("three", {}, {3});
       const std::string gate = net.Node("Clip", {net.Node("Add", {a, three}, "b"), zero, six}, "c");
       const std::string first = net.Node("Div", {net.Node("Mul", {a, gate}, "d"), six}, "e");
       const std::string more = net.Node("Clip", {net.Node("Add", {first, three}, "f"), zero, six}, "g");
       return net.Node("Mul", {first, net.Node("Div", {more, six}, "h")}, "out");
     }},
    {"constants",
     [](OnnxWriter& net, const std::string& image) {
       const std::string scale = net.Constant("scale", {1, 3, 1, 1}, {0.5f, 2, -1}),
                         shift = net.Constant("shift", {3, 1, 1}, {1, -1, 0.1f});
       const std::string a = net.Node("Sub", {net.Node("Mul", {image, scale}, "a"), shift}, "b");
       const std::string b = Conv(net, net.Node("Tanh", {a}, "c"), "d", {.in = 3, .out = 3});
       return net.Node("LeakyRelu", {net.Node("Mul", {b, scale}, "e")}, "out", {{"alpha", 0.2f}});
     }},
    {"reshape_by_shape",
     [](OnnxWriter& net, const std::string& image) {
       const std::string a =
           net.Node("Relu", {Conv(net, image, "a", {.in = 3, .out = 5, .kernel = 4, .stride = 4})}, "b");
       const std::string n = net.Node("Gather", {net.Node("Shape", {a}, "shape"), net.Constant("index", {0})}, "n",
                                      {{"axis", int64_t{0}}});
       const std::string to = net.Node("Concat", {n, net.Constant("rest", {-1})}, "to", {{"axis", int64_t{0}}});
       const std::string flat = net.Node("Reshape", {a, to}, "flat");
       Random random(5);
       std::vector<float> matrix(125 * 11);
       for (float& value : matrix) value = static_cast<float>(random.Normal());
       const std::string product = net.Node("MatMul", {flat, net.Constant("m", {125, 11}, matrix)}, "product");
       return net.Node("Softmax", {net.Dense(product, "dense", 11, 7)}, "out", {{"axis", int64_t{1}}});
     }},
    {"matrices",
     [](OnnxWriter& net, const std::string& image) {
       const std::string a =
           net.Node("Relu", {Conv(net, image, "a", {.in = 3, .out = 8, .kernel = 5, .stride = 5})}, "b");
       const std::string flat = net.Node("Flatten", {a}, "c");
       const std::string first = net.Node("Relu", {net.Dense(flat, "d", 128, 64)}, "e");
       return net.Dense(net.Dense(first, "f", 64, 192), "out", 192, 5);
     }},
    {"flat_map",
     [](OnnxWriter& net, const std::string& image) {
       return net.Node("Flatten", {Conv(net, image, "a", {.in = 3, .out = 5, .kernel = 4, .stride = 4})}, "out");
     }},
};

class OneDnnTest : public testing::Test {
 protected:
  ModelFiles Write(const std::string& file, ModelCard card) {
    card.sha256 = Sha256Hex(AsBytes(file));
    ModelFiles files{card, folder_ / (card.name + ".json"), folder_ / (card.name + ".onnx")};
    EXPECT_TRUE(WriteFileAtomic(files.weights_path, AsBytes(file)).ok());
    return files;
  }
  ModelFiles WriteGraph(const Graph& graph) {
    OnnxWriter net(7);
    const std::string output = graph.build(net, net.Input("image", 3, 20, 20));
    ModelCard card = MakeTinyCard(graph.name);
    card.input.width = card.input.height = 20;
    card.layer = output;
    card.dimension = 0;
    return Write(net.Finish({output}), card);
  }
  static std::unique_ptr<Model> Load(const ModelFiles& files, ModelOptions options) {
    auto model = LoadModel(files.weights_path, files.card, options);
    EXPECT_TRUE(model.ok()) << files.card.name << ": " << model.status();
    return model.ok() ? *std::move(model) : nullptr;
  }
  // The least cosine over `count` images, between ONNX Runtime and ours.
  static double Worst(const ModelFiles& files, ModelOptions options, size_t count) {
    options.executor = Executor::kOneDnn;
    const auto ours = Load(files, options);
    options.executor = Executor::kOnnxRuntime;
    const auto theirs = Load(files, options);
    if (ours == nullptr || theirs == nullptr) return 0;
    EXPECT_EQ(ours->output_size(), theirs->output_size());
    EXPECT_EQ(ours->layer_sizes(), theirs->layer_sizes());
    const auto images = Images(count, 3, files.card.input.width, 11);
    const size_t size = ours->output_size();
    std::vector<float> a(count * size), b(count * size);
    EXPECT_TRUE(ours->Run(images, count, a).ok());
    EXPECT_TRUE(theirs->Run(images, count, b).ok());
    double worst = 1;
    for (size_t i = 0; i < count; ++i) {
      worst = std::min(worst, Cosine(std::span(a).subspan(i * size, size), std::span(b).subspan(i * size, size)));
    }
    return worst;
  }

  const ScratchFolder scratch_;
  const std::filesystem::path folder_ = scratch_.path();
};

TEST_F(OneDnnTest, EveryOperatorAgreesWithOnnxRuntime) {
  for (const Graph& graph : kGraphs) {
    const ModelFiles files = WriteGraph(graph);
    EXPECT_GE(Worst(files, {.precision = Precision::kF32}, 3), 0.999999) << graph.name;
    EXPECT_GE(Worst(files, {.precision = Precision::kBf16}, 3), 0.9995) << graph.name;
  }
}

TEST_F(OneDnnTest, FusedStepsAreFewerAndTheSameFunction) {
  for (const Graph& graph : kGraphs) {
    const ModelFiles files = WriteGraph(graph);
    const auto file = MappedFile::Open(files.weights_path);
    const auto onnx = ReadOnnxFile((*file)->bytes());
    ASSERT_TRUE(onnx.ok());
    auto plain = BuildNetwork(*onnx, std::vector{files.card.layer}, {3, 20, 20});
    ASSERT_TRUE(plain.ok()) << plain.status();
    Network fused = *plain;
    FuseSteps(fused);
    EXPECT_LE(fused.steps.size(), plain->steps.size());
    const auto a = MakeOneDnnModel(*std::move(plain), *file, {}), b = MakeOneDnnModel(std::move(fused), *file, {});
    ASSERT_TRUE(a.ok() && b.ok()) << graph.name << a.status() << b.status();
    const auto images = Images(2, 3, 20, 1);
    std::vector<float> x(2 * (*a)->output_size()), y(x.size());
    ASSERT_TRUE((*a)->Run(images, 2, x).ok() && (*b)->Run(images, 2, y).ok());
    EXPECT_GE(Cosine(x, y), 0.9999999) << graph.name;
  }
}

TEST_F(OneDnnTest, FusesWhatTheNetworksAreMadeOf) {
  const auto steps = [&](const char* name) {
    const ModelFiles files = WriteGraph(*std::ranges::find(kGraphs, std::string(name), &Graph::name));
    const auto file = MappedFile::Open(files.weights_path);
    const auto onnx = ReadOnnxFile((*file)->bytes());
    Network network = *BuildNetwork(*onnx, std::vector{files.card.layer}, {3, 20, 20});
    FuseSteps(network);
    return network.steps.size();
  };
  EXPECT_EQ(steps("depthwise"), 3u) << "batch norm and activations belong to convolutions";
  EXPECT_EQ(steps("residual"), 4u) << "one of three sums has no convolution of its own";
  EXPECT_EQ(steps("squeeze"), 6u) << "x * sigmoid(x) belongs to its convolution";
  EXPECT_EQ(steps("old_hard_swish"), 2u);
}

TEST_F(OneDnnTest, WholeNetworksAgree) {
  for (const char* name : {"squeezenet", "mobilenet_v3"}) {
    const BuiltModel built = *BuildModel(name);
    const ModelFiles files = Write(built.file, built.card);
    EXPECT_GE(Worst(files, {.layers = {"", "classifier"}, .precision = Precision::kF32}, 2), 0.99999) << name;
    EXPECT_GE(Worst(files, {.layers = {"", "classifier"}, .precision = Precision::kBf16}, 2), 0.999) << name;
  }
}

TEST_F(OneDnnTest, WhatLiesLessItsCenterIsRoundedMoreFinely) {
  if (!HasFastBf16()) GTEST_SKIP() << "this processor has no AMX with bf16, or LIKENESS_CPU forbids it";
  constexpr size_t kSide = 128;
  const ModelInput kInput{.width = kSide, .height = kSide, .mean = {128, 128, 128}, .scale = {0.02f, 0.02f, 0.02f}};
  OnnxWriter net(5);
  std::string at = net.Input("image", 3, kSide, kSide);
  for (int i = 0; i < 5; ++i) {
    const std::string name = "c" + std::to_string(i);
    at = Conv(net, at, name, {.in = i == 0 ? 3 : i < 4 ? 32 : 128, .out = i < 3 ? 32 : 128, .kernel = 3, .pad = 1});
    at = net.Node("Relu", {at}, name + ".relu");
    if (i % 2 == 1)
      at = net.Node("MaxPool", {at}, name + ".pool", {{"kernel_shape", Pads{2, 2}}, {"strides", Pads{2, 2}}});
  }
  at = net.Node("Flatten", {at}, "flat");
  const auto bytes = std::make_shared<const std::string>(net.Finish({at}));
  const auto onnx = ReadOnnxFile(AsBytes(*bytes));
  ASSERT_TRUE(onnx.ok()) << onnx.status();
  const auto load = [&](bool bf16, bool centered, size_t threads = 1) {
    Network network = *BuildNetwork(*onnx, std::vector{at}, {3, kSide, kSide});
    FuseSteps(network);
    EXPECT_EQ(CenteredValues(network).size(), 4u) << "all but the last are made and read in tiles";
    const std::vector<float> typical = centered ? TypicalImage(kInput) : std::vector<float>();
    return *MakeOneDnnModel(std::move(network), bytes, {.threads = threads, .bf16 = bf16, .typical = typical});
  };
  const auto truth = load(false, false), plain = load(true, false), centered = load(true, true);
  std::vector<float> images;
  for (const uint64_t seed : {2, 3, 4, 5}) {
    const auto image = TypicalImage(kInput, seed);
    images.insert(images.end(), image.begin(), image.end());
  }
  const size_t size = truth->output_size();
  std::vector<float> a(4 * size), b(a.size()), c(a.size());
  ASSERT_TRUE(truth->Run(images, 4, a).ok() && plain->Run(images, 4, b).ok() && centered->Run(images, 4, c).ok());
  EXPECT_LT(1 - Cosine(a, c), 0.7 * (1 - Cosine(a, b)));
  // What a worker computes on one thread a server computes on several.
  for (const size_t threads : {2, 3}) {
    std::vector<float> d(c.size());
    ASSERT_TRUE(load(true, true, threads)->Run(images, 4, d).ok());
    EXPECT_EQ(c, d) << threads;
  }
}

TEST_F(OneDnnTest, ATypicalImageChangesNothingWhereNoValueIsCentered) {
  if (!HasFastBf16()) GTEST_SKIP() << "this processor has no AMX with bf16, or LIKENESS_CPU forbids it";
  const BuiltModel built = *BuildModel("squeezenet");
  const auto file = std::make_shared<const std::string>(built.file);
  const OnnxFile onnx = *ReadOnnxFile(AsBytes(*file));
  const auto images = Images(2, 3, built.card.input.width, 3);
  const auto run = [&](const Model& model) {
    std::vector<float> out(2 * model.output_size());
    EXPECT_TRUE(model.Run(images, 2, out).ok());
    return out;
  };
  const auto make = [&](std::vector<float> typical) {
    const Extent input = {3, built.card.input.height, built.card.input.width};
    Network network = *BuildNetwork(onnx, std::vector{std::string(built.card.TensorOf({}))}, input);
    FuseSteps(network);
    EXPECT_TRUE(CenteredValues(network).empty());
    return run(**MakeOneDnnModel(std::move(network), file, {.bf16 = true, .typical = std::move(typical)}));
  };
  const auto without = make({});
  EXPECT_EQ(make(TypicalImage(built.card.input)), without) << "to the bit";
  const ModelFiles files = Write(built.file, built.card);
  EXPECT_EQ(run(*Load(files, {.executor = Executor::kOneDnn, .precision = Precision::kBf16})), without);
}

TEST_F(OneDnnTest, SeveralLayersComeFromOnePass) {
  const BuiltModel built = *BuildModel("squeezenet");
  const ModelFiles files = Write(built.file, built.card);
  const auto images = Images(2, 3, 224, 3);
  for (const Executor executor : {Executor::kOneDnn, Executor::kOnnxRuntime}) {
    const auto load = [&](std::vector<std::string> layers) {
      return Load(files, {.layers = std::move(layers), .executor = executor, .precision = Precision::kF32});
    };
    const auto both = load({"classifier", "features", "classifier"}), one = load({"features"}),
               other = load({"classifier"});
    EXPECT_EQ(both->layer_sizes(), (std::vector<size_t>{1000, 512, 1000}));
    ASSERT_EQ(both->output_size(), 2512u);
    std::vector<float> all(2 * 2512), first(2 * 1000), second(2 * 512);
    ASSERT_TRUE(both->Run(images, 2, all).ok() && other->Run(images, 2, first).ok() &&
                one->Run(images, 2, second).ok());
    for (size_t i = 0; i < 2; ++i) {
      const auto row = std::span(all).subspan(i * 2512, 2512);
      EXPECT_GE(Cosine(row.first(1000), std::span(first).subspan(i * 1000, 1000)), 0.999999);
      EXPECT_GE(Cosine(row.subspan(1000, 512), std::span(second).subspan(i * 512, 512)), 0.999999);
      EXPECT_TRUE(std::ranges::equal(row.first(1000), row.last(1000)));
    }
  }
}

TEST_F(OneDnnTest, AnyNumberOfImagesFromAnyThread) {
  const ModelFiles files = WriteGraph(kGraphs[5]);
  for (const size_t threads : {1, 2}) {
    const auto model = Load(files, {.threads = threads, .executor = Executor::kOneDnn});
    const size_t size = model->output_size(), area = 3 * 20 * 20;
    const auto images = Images(23, 3, 20, 9);
    std::vector<float> together(23 * size);
    ASSERT_TRUE(model->Run(images, 23, together).ok());
    std::vector<std::thread> runners;
    for (size_t t = 0; t < 3; ++t) {
      runners.emplace_back([&, t] {
        std::vector<float> some(23 * size);
        for (size_t first = 0; first < 23; first += t + 1) {
          const size_t count = std::min(t + 1, 23 - first);
          const auto out = std::span(some).first(count * size);
          ASSERT_TRUE(model->Run(std::span(images).subspan(first * area, count * area), count, out).ok());
          for (size_t i = 0; i < count * size; ++i) ASSERT_NEAR(out[i], together[first * size + i], 0.02);
        }
      });
    }
    for (std::thread& runner : runners) runner.join();
    EXPECT_TRUE(model->Run({}, 0, {}).ok());
    EXPECT_EQ(model->Run(images, 1, together).code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST_F(OneDnnTest, WhatItCannotRunGoesToOnnxRuntime) {
  const Graph odd[] = {
      {"unknown", [](OnnxWriter& net, const std::string& image) { return net.Node("Softplus", {image}, "out"); }},
      {"transposed",
       [](OnnxWriter& net, const std::string& image) {
         return net.Node("Transpose", {image}, "out", {{"perm", Pads{0, 2, 3, 1}}});
       }},
      {"split_channels",
       [](OnnxWriter& net, const std::string& image) {  // [N,3,20,20] to [N,60,20,1]
         return net.Node("Reshape", {image, net.Constant("to", {0, 60, 20, 1})}, "out");
       }},
      {"mean_of_channels", [](OnnxWriter& net, const std::string& image) {
         return net.Node("ReduceMean", {image}, "out", {{"axes", Pads{1}}});
       }}};
  for (const Graph& graph : odd) {
    const ModelFiles files = WriteGraph(graph);
    const auto refused = LoadModel(files.weights_path, files.card, {.executor = Executor::kOneDnn});
    EXPECT_EQ(refused.status().code(), absl::StatusCode::kUnimplemented) << graph.name;
    testing::internal::CaptureStderr();
    const auto model = Load(files, {});
    const std::string log = testing::internal::GetCapturedStderr();
    EXPECT_THAT(log, HasSubstr("model_runs_on_onnxruntime")) << graph.name;
    EXPECT_EQ(std::ranges::count(log, '\n'), 1);
    std::vector<float> out(model->output_size());
    EXPECT_TRUE(model->Run(Images(1, 3, 20, 1), 1, out).ok());
  }
}

TEST_F(OneDnnTest, DamagedFilesAreAnswered) {
  OnnxWriter net(1);
  const std::string a =
      Conv(net, net.Input("image", 3, 8, 8), "a", {.in = 3, .out = 4, .kernel = 3, .pad = 1, .groups = 1});
  const std::string b = net.Node("MaxPool", {net.BatchNorm(a, "n", 4)}, "p", {{"kernel_shape", Pads{2, 2}}});
  const std::string output = net.Dense(net.Node("Flatten", {b}, "f"), "d", 4 * 7 * 7, 3);
  const std::string file = net.Finish({output});
  const auto read = [&](const std::string& bytes) {
    const auto onnx = ReadOnnxFile(AsBytes(bytes));
    if (!onnx.ok() || onnx->inputs.empty()) return;
    auto network = BuildNetwork(*onnx, std::vector{output}, {3, 8, 8});
    if (network.ok()) FuseSteps(*network);
  };
  for (size_t size = 0; size < file.size(); ++size) read(file.substr(0, size));
  Random random(4);
  for (int i = 0; i < 4000; ++i) {
    std::string damaged = file;
    for (int n = 0; n < 3; ++n) damaged[random.Below(damaged.size())] = static_cast<char>(random());
    read(damaged);
  }
}

TEST(Depthwise, AndMaxPoolEqualTheirSlowTwins) {
  if (!HasFastBf16()) GTEST_SKIP() << "this processor has no AVX-512 with bf16, or LIKENESS_CPU forbids it";
  Random random(2);
  for (int round = 0; round < 60; ++round) {
    DepthwiseShape s{.images = 1 + random.Below(2),
                     .channels = 1 + random.Below(50),
                     .height = 1 + random.Below(14),
                     .width = 1 + random.Below(20)};
    s.kernel_height = 1 + random.Below(5);
    s.kernel_width = 1 + random.Below(5);
    s.stride_height = 1 + random.Below(3);
    s.stride_width = 1 + random.Below(3);
    s.top = random.Below(s.kernel_height);
    s.left = random.Below(s.kernel_width);
    s.out_height = 1 + (s.height + 2 * s.top) / (s.stride_height + s.kernel_height);
    s.out_width = 1 + (s.width + 2 * s.left) / (s.stride_width + s.kernel_width);
    s.bf16 = round % 2 == 0;
    const Activation curves[] = {
        {}, {Activation::Kind::kRelu}, {Activation::Kind::kClip, -0.5f, 1}, {Activation::Kind::kHardSwish}};
    s.activation = curves[round % 4];
    const auto floats = [&](size_t count) {
      std::vector<float> values(count);
      for (float& value : values) value = static_cast<float>(random.Normal());
      return values;
    };
    const size_t size = s.images * s.height * s.width * s.channels;
    const auto wide = floats(size);
    std::vector<uint16_t> narrow(size);
    for (size_t i = 0; i < size; ++i) narrow[i] = static_cast<uint16_t>(std::bit_cast<uint32_t>(wide[i]) >> 16);
    const void* from = s.bf16 ? static_cast<const void*>(narrow.data()) : wide.data();
    const auto weights = floats(s.kernel_height * s.kernel_width * s.padded()), bias = floats(s.padded());
    std::vector<float> scratch(s.scratch());
    std::vector<uint16_t> a(s.images * s.out_height * s.out_width * s.channels), b(a.size());
    Depthwise(s, from, weights.data(), bias.data(), scratch.data(), a.data());
    DepthwisePlain(s, from, weights.data(), bias.data(), b.data());
    if (s.bf16) {
      std::vector<uint16_t> pooled(a.size()), slowly(a.size());
      // Every kernel must meet the image: what padding hides at the far side is left out.
      s.out_height = std::min(s.out_height, (s.height + s.top - 1) / s.stride_height + 1);
      s.out_width = std::min(s.out_width, (s.width + s.left - 1) / s.stride_width + 1);
      MaxPoolChannelsLast(s, narrow.data(), pooled.data());
      MaxPoolPlain(s, narrow.data(), slowly.data());
      ASSERT_EQ(pooled, slowly) << "round " << round;
    }
    for (size_t i = 0; i < a.size(); ++i) {
      const float x = std::bit_cast<float>(uint32_t{a[i]} << 16), y = std::bit_cast<float>(uint32_t{b[i]} << 16);
      ASSERT_NEAR(x, y, 0.01 * (1 + std::abs(y))) << "round " << round << " at " << i;
    }
  }
}

TEST(Dense, EqualsItsSlowTwin) {
  if (!HasFastBf16()) GTEST_SKIP() << "this processor has no AVX-512 with bf16, or LIKENESS_CPU forbids it";
  Random random(6);
  const auto numbers = [&](size_t count) {
    std::vector<uint16_t> values(count);
    for (uint16_t& value : values) {
      value = static_cast<uint16_t>(std::bit_cast<uint32_t>(static_cast<float>(random.Normal())) >> 16);
    }
    return values;
  };
  for (size_t vectors = 1; vectors <= 8; ++vectors) {
    const DenseShape s{.vectors = vectors,
                       .inputs = vectors == 3 ? size_t{4128} : 32 * vectors,
                       .outputs = 64 * (1 + vectors % 3),
                       .activation = {Activation::Kind::kRelu}};
    const auto from = numbers(s.vectors * s.inputs), weights = numbers(s.inputs * s.outputs);
    std::vector<float> bias(s.outputs, 0.5f), sums(s.vectors * s.outputs), a(sums.size()), b(sums.size());
    Dense(s, from.data(), weights.data(), bias.data(), sums.data(), a.data());
    DensePlain(s, from.data(), weights.data(), bias.data(), sums.data(), b.data());
    for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-3 * std::sqrt(static_cast<double>(s.inputs)));
  }
}

}  // namespace
}  // namespace likeness
