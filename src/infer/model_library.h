// Where models are found by name.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "infer/model_card.h"

namespace likeness {

// The name in models/default.
inline constexpr std::string_view kDefaultModel = LIKENESS_DEFAULT_MODEL;

// A card and the weights beside it.
struct ModelFiles {
  ModelCard card;
  std::filesystem::path card_path;
  std::filesystem::path weights_path;  // may not exist: Check and LoadModel say so
};

// A list of folders, each with NAME.json and NAME.onnx; an earlier folder hides a later one's model of the same name.
// Keeps no state but the list: a model added by another process is found. Any thread.
class ModelLibrary {
 public:
  explicit ModelLibrary(std::vector<std::filesystem::path> folders) : folders_(std::move(folders)) {}
  // The folders in the usual order: HOME/models, $LIKENESS_MODELS, ../share/likeness/models beside the running
  // program's folder, models/ready of the source tree it was built from.
  static ModelLibrary Usual(const std::filesystem::path& home);

  const std::vector<std::filesystem::path>& folders() const { return folders_; }

  // All models that have a readable card and weights, by name. A broken card is logged and passed over.
  std::vector<ModelFiles> List() const;

  // Errors: NotFound, naming the models that there are and how to get one; InvalidArgument when the card is broken.
  absl::StatusOr<ModelFiles> Find(std::string_view name) const;

  // Copies `weights` and the card into the first folder, after running the model once. Empty `sha256` and 0
  // `dimension` in the card are filled in; an empty input name is taken from the graph when it has just one input.
  // Errors: those of LoadModel; AlreadyExists when a different model has that name there.
  absl::StatusOr<ModelFiles> Add(const std::filesystem::path& weights, ModelCard card) const;

  // Checks the checksum, the layer, the shapes, and that noise gives finite numbers which differ for different noise.
  static absl::Status Check(const ModelFiles& model);

 private:
  std::vector<std::filesystem::path> folders_;
};

}  // namespace likeness
