// Cards say what they said, a network can be cut at any layer, and every wrong file is refused with one sentence.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "base/bytes.h"
#include "base/file.h"
#include "base/random.h"
#include "infer/model.h"
#include "infer/model_card.h"
#include "infer/model_library.h"
#include "infer/onnx_graph.h"
#include "support/scratch_folder.h"
#include "support/tiny_model.h"

namespace likeness {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class InferTest : public testing::Test {
 protected:
  void SetUp() override { model_ = *InstallTinyModel(folder_, "tiny"); }

  // The code and message of loading with the card changed.
  std::string Refusal(const std::function<void(ModelCard&)>& change, std::string_view layer = {}) {
    ModelCard card = model_.card;
    change(card);
    const auto status = LoadOnnxModel(model_.weights_path, card, layer).status();
    return CodeName(status) + ": " + MessageOf(status);
  }

  const ScratchFolder scratch_;
  const std::filesystem::path folder_ = scratch_.path();
  ModelFiles model_;
};

std::vector<float> Noise(size_t size, uint64_t seed) {
  Random random(seed);
  std::vector<float> values(size);
  for (float& value : values) value = static_cast<float>(random.Normal());
  return values;
}

TEST(ModelCard, IsReadAsItWasWritten) {
  ModelCard card = MakeTinyCard("a_model-2");
  card.source = {{"package", "x"}, {"version", "1.0"}};
  card.input.mean = {103.939f, 116.779f, 123.68f};
  const auto read = ParseModelCard(ModelCardToJson(card));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(ModelCardToJson(*read), ModelCardToJson(card));
  EXPECT_EQ(read->source, card.source);
  EXPECT_EQ(read->input.mean, card.input.mean);
  EXPECT_EQ(read->TensorOf(""), "features");
  EXPECT_EQ(read->TensorOf("early"), "relu");
  EXPECT_EQ(read->TensorOf("flat"), "flat");
}

TEST(ModelCard, IsRefusedByTheFieldThatIsWrong) {
  const std::string json = ModelCardToJson(MakeTinyCard("m"));
  const auto refusal = [&](const std::string& from, const std::string& to) {
    std::string changed = json;
    const size_t at = changed.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    const auto card = ParseModelCard(changed.replace(at, from.size(), to));
    EXPECT_EQ(card.status().code(), absl::StatusCode::kInvalidArgument) << to;
    return MessageOf(card.status());
  };
  EXPECT_THAT(refusal("\"name\": \"m\"", "\"name\": \"../m\""), HasSubstr("\"name\""));
  EXPECT_THAT(refusal("\"name\": \"m\"", "\"name\": 7"), HasSubstr("\"name\""));
  EXPECT_THAT(refusal("\"width\": 16", "\"width\": 0"), HasSubstr("\"input.width\""));
  EXPECT_THAT(refusal("\"width\": 16", "\"width\": -3"), HasSubstr("\"input.width\""));
  EXPECT_THAT(refusal("\"RGB\"", "\"RBG\""), HasSubstr("\"input.channel_order\""));
  EXPECT_THAT(refusal("\"NCHW\"", "\"CHWN\""), HasSubstr("\"input.layout\""));
  EXPECT_THAT(refusal("\"crop\"", "\"squeeze\""), HasSubstr("\"input.fit\""));
  EXPECT_THAT(refusal("\"mean\"", "\"mean\": [1], \"x\""), HasSubstr("\"input.mean\""));
  EXPECT_THAT(refusal("\"scale\"", "\"scale\": [0, 1, 1], \"x\""), HasSubstr("\"input.scale\""));
  EXPECT_THAT(refusal("\"sha256\": \"", "\"sha256\": \"x"), HasSubstr("\"sha256\""));
  EXPECT_THAT(refusal("\"dimension\": 32", "\"dimension\": 0"), HasSubstr("\"dimension\""));
  EXPECT_THAT(refusal("\"input\"", "\"output\""), HasSubstr("\"input\""));
  EXPECT_THAT(refusal("\"dimension\"", "\"pooling\": \"max\", \"dimension\""), HasSubstr("\"pooling\""));
  EXPECT_THAT(refusal("\"dimension\"", "\"precision\": \"f64\", \"dimension\""), HasSubstr("\"precision\""));
  EXPECT_THAT(refusal("{", "["), HasSubstr("not a JSON object"));
}

TEST(ModelCard, ItsDescriptionChangesWithWhatChangesVectors) {
  const ModelCard card = MakeTinyCard("m");
  ModelCard other = card;
  other.name = "n";
  other.description = "x";
  EXPECT_EQ(CanonicalModelDescription(card), CanonicalModelDescription(other));
  EXPECT_NE(CanonicalModelDescription(card), CanonicalModelDescription(card, "early"));
  EXPECT_EQ(CanonicalModelDescription(card, "early"), CanonicalModelDescription(card, "relu"));
  EXPECT_NE(CanonicalModelDescription(card), CanonicalModelDescription(card, {}, Precision::kF32));
  other.precision = Precision::kF32;
  EXPECT_EQ(CanonicalModelDescription(other), CanonicalModelDescription(card, {}, Precision::kF32));
  EXPECT_EQ(ParseModelCard(ModelCardToJson(other))->precision, Precision::kF32);
  other.precision = card.precision;
  other.input.scale[1] = 1;
  EXPECT_NE(CanonicalModelDescription(card), CanonicalModelDescription(other));
}

TEST(OnnxGraph, IsCutAtALayerWithoutWhatIsBehindIt) {
  const std::string file = MakeTinyModel();
  const auto outline = ReadOnnxOutline(AsBytes(file));
  ASSERT_TRUE(outline.ok());
  EXPECT_THAT(outline->inputs, ElementsAre("image"));
  EXPECT_THAT(outline->outputs, ElementsAre("logits"));
  EXPECT_THAT(outline->tensors, ElementsAre("relu", "flat", "features", "logits"));
  const auto cut = CutOnnxGraph(AsBytes(file), "flat");
  ASSERT_TRUE(cut.ok());
  EXPECT_THAT(ReadOnnxOutline(AsBytes(*cut))->outputs, ElementsAre("flat"));
  EXPECT_THAT(ReadOnnxOutline(AsBytes(*cut))->tensors, ElementsAre("relu", "flat"));
}

TEST(OnnxGraph, SurvivesEveryPrefixAndDamage) {
  const std::string file = MakeTinyModel({.side = 2, .dimension = 2});
  for (size_t size = 0; size < file.size(); ++size) {
    EXPECT_FALSE(ReadOnnxOutline(AsBytes(file).first(size)).ok() && size < 20);
    (void)CutOnnxGraph(AsBytes(file).first(size), "features");
  }
  Random random(3);
  for (int i = 0; i < 2000; ++i) {
    std::string damaged = file;
    damaged[random.Below(damaged.size())] = static_cast<char>(random());
    (void)CutOnnxGraph(AsBytes(damaged), "features");
  }
}

TEST_F(InferTest, LayersAgreeWithEachOther) {
  const auto load = [&](std::string_view layer) {
    auto model = LoadOnnxModel(model_.weights_path, model_.card, layer);
    EXPECT_TRUE(model.ok()) << model.status();
    return *std::move(model);
  };
  const auto features = load(""), early = load("early"), flat = load("flat"), logits = load("logits");
  EXPECT_EQ(features->input_size(), 3u * 16 * 16);
  EXPECT_EQ(features->output_size(), 32u);
  EXPECT_EQ(early->output_size(), 3u) << "a spatial layer is averaged to one float a channel";
  EXPECT_EQ(flat->output_size(), 768u);
  EXPECT_EQ(logits->output_size(), 5u);
  const auto image = Noise(768, 1);
  std::vector<float> averaged(3), flattened(768);
  ASSERT_TRUE(early->Run(image, 1, averaged).ok());
  ASSERT_TRUE(flat->Run(image, 1, flattened).ok());
  for (size_t c = 0; c < 3; ++c) {
    double sum = 0;
    for (size_t i = 0; i < 256; ++i) {
      EXPECT_EQ(flattened[c * 256 + i], std::max(0.f, image[c * 256 + i]));
      sum += flattened[c * 256 + i];
    }
    EXPECT_NEAR(averaged[c], sum / 256, 1e-6);
  }
}

TEST_F(InferTest, ABatchEqualsItsImagesOneByOneFromAnyThread) {
  const auto model = *LoadOnnxModel(model_.weights_path, model_.card);
  constexpr size_t kImages = 19;
  const auto images = Noise(kImages * 768, 2);
  std::vector<float> together(kImages * 32);
  ASSERT_TRUE(model->Run(images, kImages, together).ok());
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      std::vector<float> one(32);
      for (size_t i = 0; i < kImages; ++i) {
        ASSERT_TRUE(model->Run(std::span(images).subspan(i * 768, 768), 1, one).ok());
        for (size_t d = 0; d < 32; ++d) ASSERT_NEAR(one[d], together[i * 32 + d], 1e-4);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(model->Run({}, 0, {}).ok());
  EXPECT_EQ(model->Run(images, 1, together).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(InferTest, AModelWithAFixedBatchGivesTheSame) {
  const auto fixed = *InstallTinyModel(folder_, "fixed", {.fixed_batch = 4});
  const auto any = *LoadOnnxModel(model_.weights_path, model_.card);
  const auto four = *LoadOnnxModel(fixed.weights_path, fixed.card);
  EXPECT_EQ(four->batch(), 4u);
  const auto images = Noise(6 * 768, 3);
  std::vector<float> a(6 * 32), b(6 * 32);
  ASSERT_TRUE(any->Run(images, 6, a).ok());
  ASSERT_TRUE(four->Run(images, 6, b).ok());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-4);
}

TEST_F(InferTest, EveryMistakeIsOneSentence) {
  const auto same = [](ModelCard&) {};
  EXPECT_THAT(Refusal([](ModelCard& card) { card.sha256[0] = card.sha256[0] == 'a' ? 'b' : 'a'; }),
              HasSubstr("its SHA-256 differs"));
  EXPECT_THAT(Refusal(same, "feature"), HasSubstr("no layer \"feature\"; the nearest are \"features\""));
  EXPECT_THAT(Refusal([](ModelCard& card) { card.input.width = 24; }),
              HasSubstr("takes input of shape [?,3,16,16] and the card says [?,3,16,24]"));
  EXPECT_THAT(Refusal([](ModelCard& card) { card.input.layout = "NHWC"; }), HasSubstr("[?,16,16,3]"));
  EXPECT_THAT(Refusal([](ModelCard& card) { card.input.name = "x"; }), HasSubstr("called \"image\""));
  EXPECT_THAT(Refusal([](ModelCard& card) { card.dimension = 31; }), HasSubstr("gives 32 floats and the card says 31"));

  ASSERT_TRUE(WriteFileAtomic(model_.weights_path, AsBytes("certainly no network")).ok());
  const auto resealed = [](ModelCard& card) { card.sha256 = Sha256Hex(AsBytes("certainly no network")); };
  EXPECT_THAT(Refusal(resealed), HasSubstr("invalid_argument"));
  EXPECT_THAT(Refusal(resealed), HasSubstr("not an ONNX model"));
  std::filesystem::remove(model_.weights_path);
  EXPECT_THAT(Refusal(same), HasSubstr("not_found"));
}

TEST_F(InferTest, AFileThatIsNotTheCardsIsRefusedForThatHoweverItIsRead) {
  const auto refusal = [&](const ModelOptions& options) {
    const auto model = LoadModel(model_.weights_path, model_.card, options);
    return model.ok() ? "it was loaded" : std::string(model.status().message());
  };
  const std::string right = *ReadFile(model_.weights_path);
  std::string changed = right;
  changed[changed.size() / 2] = static_cast<char>(changed[changed.size() / 2] ^ 1);
  const std::vector<std::string> others = {changed, right.substr(0, right.size() / 2), "certainly no network", ""};
  for (const Executor executor : {Executor::kAuto, Executor::kOneDnn, Executor::kOnnxRuntime}) {
    for (const size_t threads : {1, 3}) {
      for (const std::string& other : others) {
        ASSERT_TRUE(WriteFileAtomic(model_.weights_path, AsBytes(other)).ok());
        EXPECT_THAT(refusal({.threads = threads, .executor = executor}), HasSubstr("its SHA-256 differs"));
      }
      ASSERT_TRUE(WriteFileAtomic(model_.weights_path, AsBytes(right)).ok());
      EXPECT_EQ(refusal({.threads = threads, .executor = executor}), "it was loaded");
    }
  }
}

TEST_F(InferTest, TheLibraryFindsTheFirstAndNamesWhatThereIs) {
  const auto later = folder_ / "later";
  ASSERT_TRUE(InstallTinyModel(later, "tiny", {.seed = 2}).ok());
  ASSERT_TRUE(InstallTinyModel(later, "other", {.seed = 3}).ok());
  ASSERT_TRUE(WriteFileAtomic(later / "broken.json", AsBytes("{")).ok());
  ASSERT_TRUE(WriteFileAtomic(later / "broken.onnx", AsBytes("")).ok());
  const ModelLibrary library({folder_, folder_ / "absent", later});
  std::vector<std::string> names;
  for (const ModelFiles& model : library.List()) names.push_back(model.card.name);
  EXPECT_THAT(names, ElementsAre("other", "tiny"));
  EXPECT_EQ(library.Find("tiny")->card.sha256, model_.card.sha256);
  EXPECT_EQ(library.Find("other")->weights_path, later / "other.onnx");
  const auto missing = library.Find("resnet").status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(MessageOf(missing), HasSubstr("there are other, tiny"));
  EXPECT_EQ(library.Find("../later/other").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(InferTest, AddFillsInTheCardAndChecks) {
  const ModelLibrary library({folder_ / "added"});
  ModelCard card = MakeTinyCard("mine");
  card.sha256.clear();
  card.dimension = 0;
  card.input.name.clear();
  const auto added = library.Add(model_.weights_path, card);
  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_EQ(added->card.dimension, 32u);
  EXPECT_EQ(library.Find("mine")->card.sha256, model_.card.sha256);
  EXPECT_TRUE(ModelLibrary::Check(*library.Find("mine")).ok());
  EXPECT_TRUE(library.Add(model_.weights_path, card).ok()) << "the same again";
  card.layer = "early";
  EXPECT_EQ(library.Add(model_.weights_path, card).status().code(), absl::StatusCode::kAlreadyExists);
  card.name = "next";
  card.layer = "nowhere";
  EXPECT_EQ(library.Add(model_.weights_path, card).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(library.List().size(), 1u);
  ASSERT_TRUE(WriteFileAtomic(added->weights_path, AsBytes("damaged")).ok());
  EXPECT_EQ(ModelLibrary::Check(*added).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace likeness
