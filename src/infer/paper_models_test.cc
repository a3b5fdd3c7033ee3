// Users' own files of the paper's networks: recognized, imported, cut at the layer that is asked for, and computed as
// ONNX Runtime computes them. AlexNet and VGG-16 have hundreds of megabytes: they wait for LIKENESS_SLOW_TESTS.
#include "infer/paper_models.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "base/bytes.h"
#include "base/file.h"
#include "base/random.h"
#include "infer/model.h"
#include "infer/model_library.h"
#include "infer/recognize.h"
#include "support/scratch_folder.h"
#include "support/tiny_model.h"

namespace likeness {
namespace {

double Cosine(std::span<const float> a, std::span<const float> b) {
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return ab / std::sqrt(aa * bb);
}

class PaperModels : public testing::Test {
 protected:
  void Import(const char* name, const std::vector<std::string>& layers, uint32_t dimension) {
    const ScratchFolder scratch;
    const std::filesystem::path folder = scratch.path(), file = folder / "mine.onnx";
    const BuiltModel built = *BuildModel(name);
    ASSERT_TRUE(WriteFileAtomic(file, AsBytes(built.file)).ok());
    const auto card = RecognizeModel(file);
    ASSERT_TRUE(card.ok()) << card.status();
    EXPECT_EQ(card->name, name);
    EXPECT_EQ(card->sha256, built.card.sha256);
    EXPECT_EQ(card->input.name, built.card.input.name);
    EXPECT_EQ(card->input.width, built.card.input.width);
    EXPECT_EQ(card->input.channel_order, built.card.input.channel_order);
    EXPECT_EQ(card->input.mean, built.card.input.mean);
    EXPECT_EQ(card->TensorOf({}), built.card.TensorOf({}));
    const auto added = ModelLibrary({folder / "models"}).Add(file, *card);
    ASSERT_TRUE(added.ok()) << added.status();
    EXPECT_EQ(added->card.dimension, dimension);

    // Pixels as they are, less the mean: whole numbers about 0.
    Random random(8);
    std::vector<float> image(size_t{3} * card->input.width * card->input.height);
    for (size_t i = 0; i < image.size(); ++i) {
      const double x = static_cast<double>(i % card->input.width), y = static_cast<double>(i / card->input.width);
      image[i] = static_cast<float>(std::round(60 * std::sin(x / 17) + 40 * std::cos(y / 23) + 8 * random.Normal()));
    }
    const auto run = [&](Executor executor, Precision precision) {
      const auto model =
          LoadModel(added->weights_path, added->card,
                    {.layers = layers, .verify_checksum = false, .executor = executor, .precision = precision});
      EXPECT_TRUE(model.ok()) << model.status();
      std::vector<float> out((*model)->output_size());
      EXPECT_TRUE((*model)->Run(image, 1, out).ok());
      return out;
    };
    const auto truth = run(Executor::kOnnxRuntime, Precision::kF32);
    EXPECT_GE(Cosine(truth, run(Executor::kOneDnn, Precision::kF32)), 0.99999);
    EXPECT_GE(Cosine(truth, run(Executor::kOneDnn, Precision::kBf16)), 0.999);
  }
};

TEST_F(PaperModels, GoogLeNetIsImported) { Import("googlenet", {"pool5", "classifier"}, 1024); }

TEST_F(PaperModels, AlexNetIsImported) {
  if (std::getenv("LIKENESS_SLOW_TESTS") == nullptr) GTEST_SKIP() << "set LIKENESS_SLOW_TESTS to run it";
  Import("alexnet", {"fc6", "fc7", "fc8"}, 4096);
}

TEST_F(PaperModels, Vgg16IsImported) {
  if (std::getenv("LIKENESS_SLOW_TESTS") == nullptr) GTEST_SKIP() << "set LIKENESS_SLOW_TESTS to run it";
  Import("vgg16", {"fc6", "fc8", "pool5"}, 4096);
}

TEST_F(PaperModels, AreTheSameForASeedAndUnknownOnesAreRefused) {
  EXPECT_EQ(BuildModel("squeezenet", 5)->card.sha256, BuildModel("squeezenet", 5)->card.sha256);
  EXPECT_NE(BuildModel("squeezenet", 5)->card.sha256, BuildModel("squeezenet", 6)->card.sha256);
  EXPECT_EQ(BuildModel("lenet").status().code(), absl::StatusCode::kNotFound);
  const ScratchFolder scratch;
  const auto tiny = InstallTinyModel(scratch.path(), "tiny");
  EXPECT_EQ(RecognizeModel(tiny->weights_path).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace likeness
