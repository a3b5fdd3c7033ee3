#include "support/tiny_model.h"

#include <bit>
#include <initializer_list>
#include <vector>

#include "base/bytes.h"
#include "base/file.h"
#include "base/random.h"

namespace likeness {
namespace {

// Field numbers are those of onnx.proto3.
std::string Varint(uint64_t value) {
  std::string text;
  for (; value >= 0x80; value >>= 7) text.push_back(static_cast<char>(value | 0x80));
  return text + static_cast<char>(value);
}

std::string Number(uint32_t field, uint64_t value) { return Varint(field << 3) + Varint(value); }

std::string Bytes(uint32_t field, const std::string& body) {
  return Varint(field << 3 | 2) + Varint(body.size()) + body;
}

std::string Node(const std::string& operation, std::initializer_list<std::string> inputs, const std::string& output) {
  std::string node;
  for (const std::string& input : inputs) node += Bytes(1, input);
  return Bytes(1, node + Bytes(2, output) + Bytes(4, operation));
}

// A batch of 0 is any batch.
std::string Value(uint32_t field, const std::string& name, std::initializer_list<uint32_t> shape) {
  std::string dimensions;
  for (const uint32_t size : shape) dimensions += Bytes(1, size == 0 ? Bytes(2, "N") : Number(1, size));
  return Bytes(field, Bytes(1, name) + Bytes(2, Bytes(1, Number(1, 1) + Bytes(2, dimensions))));
}

std::string Weights(Random& random, const std::string& name, uint32_t rows, uint32_t columns) {
  static_assert(std::endian::native == std::endian::little);
  std::vector<float> values(size_t{rows} * columns);
  for (float& value : values) value = static_cast<float>(random.Normal() / 8);
  return Bytes(5, Number(1, rows) + Number(1, columns) + Number(2, 1) + Bytes(8, name) +
                      Bytes(9, std::string(AsText(std::as_bytes(std::span(values))))));
}

}  // namespace

std::string MakeTinyModel(const TinyModelOptions& options) {
  Random random(options.seed);
  const uint32_t n = options.fixed_batch, side = options.side;
  const std::string graph = Node("Relu", {"image"}, "relu") + Node("Flatten", {"relu"}, "flat") +
                            Node("MatMul", {"flat", "w1"}, "features") + Node("MatMul", {"features", "w2"}, "logits") +
                            Bytes(2, "tiny") + Weights(random, "w1", 3 * side * side, options.dimension) +
                            Weights(random, "w2", options.dimension, 5) + Value(11, "image", {n, 3, side, side}) +
                            Value(12, "logits", {n, 5});
  return Number(1, 7) + Bytes(7, graph) + Bytes(8, Number(2, 13));
}

ModelCard MakeTinyCard(const std::string& name, const TinyModelOptions& options) {
  ModelCard card;
  card.name = name;
  card.description = "a small network for tests";
  card.licence = "Apache-2.0";
  card.sha256 = Sha256Hex(AsBytes(MakeTinyModel(options)));
  card.input.name = "image";
  card.input.width = card.input.height = options.side;
  card.input.mean = {127, 127, 127};
  card.input.scale = {1 / 128.f, 1 / 128.f, 1 / 128.f};
  card.layers = {{"features", "features"}, {"logits", "logits"}, {"early", "relu"}};
  card.layer = "features";
  card.dimension = options.dimension;
  return card;
}

absl::StatusOr<ModelFiles> InstallTinyModel(const std::filesystem::path& folder, const std::string& name,
                                            const TinyModelOptions& options) {
  ModelFiles files{MakeTinyCard(name, options), folder / (name + ".json"), folder / (name + ".onnx")};
  LIKENESS_RETURN_IF_ERROR(WriteFileAtomic(files.weights_path, AsBytes(MakeTinyModel(options))));
  LIKENESS_RETURN_IF_ERROR(WriteModelCard(files.card_path, files.card));
  return files;
}

}  // namespace likeness
