#include "infer/model_library.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>

#include "base/bytes.h"
#include "base/file.h"
#include "base/log.h"
#include "base/random.h"
#include "infer/model.h"
#include "infer/onnx_graph.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

// Runs noise through the model: two different images must give two different vectors of finite numbers.
absl::Status RunOnNoise(const Model& model) {
  Random random(1);
  std::vector<float> images(2 * model.input_size());
  for (float& value : images) value = static_cast<float>(random.Unit() * 2 - 1);
  std::vector<float> vectors(2 * model.output_size());
  LIKENESS_RETURN_IF_ERROR(model.Run(images, 2, vectors));
  if (!std::ranges::all_of(vectors, [](float v) { return std::isfinite(v); })) {
    return absl::InvalidArgumentError("the layer gives values that are not finite");
  }
  const auto middle = vectors.begin() + static_cast<ptrdiff_t>(model.output_size());
  if (std::equal(vectors.begin(), middle, middle)) {
    return absl::InvalidArgumentError("the layer gives the same vector for every image");
  }
  return absl::OkStatus();
}

ModelFiles FilesIn(const fs::path& folder, std::string_view name) {
  return {{}, folder / (std::string(name) + ".json"), folder / (std::string(name) + ".onnx")};
}

bool Exists(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

}  // namespace

ModelLibrary ModelLibrary::Usual(const fs::path& home) {
  std::vector<fs::path> folders = {home / "models"};
  if (const char* named = std::getenv("LIKENESS_MODELS"); named != nullptr && *named != '\0')
    folders.emplace_back(named);
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (!error) folders.push_back(program.parent_path().parent_path() / "share" / "likeness" / "models");
  folders.push_back(fs::path(LIKENESS_SOURCE_DIR) / "models" / "ready");
  return ModelLibrary(std::move(folders));
}

std::vector<ModelFiles> ModelLibrary::List() const {
  std::map<std::string, ModelFiles> found;
  for (const fs::path& folder : folders_) {
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
      const fs::path& path = entry->path();
      if (path.extension() != ".json" || found.contains(path.stem().string())) continue;
      ModelFiles files = FilesIn(folder, path.stem().string());
      if (!Exists(files.weights_path)) continue;
      auto card = ReadModelCard(path);
      if (!card.ok()) {
        Log(LogLevel::kWarning, "model_card_broken", {{"reason", MessageOf(card.status())}});
        continue;
      }
      files.card = *std::move(card);
      found.emplace(path.stem().string(), std::move(files));
    }
  }
  std::vector<ModelFiles> models;
  for (auto& [name, files] : found) models.push_back(std::move(files));
  return models;
}

absl::StatusOr<ModelFiles> ModelLibrary::Find(std::string_view name) const {
  if (name.find('/') == std::string_view::npos) {
    for (const fs::path& folder : folders_) {
      ModelFiles files = FilesIn(folder, name);
      if (!Exists(files.card_path)) continue;
      LIKENESS_ASSIGN_OR_RETURN(files.card, ReadModelCard(files.card_path));
      if (files.card.name != name) {
        return absl::InvalidArgumentError(files.card_path.string() + " holds the card of another model, \"" +
                                          files.card.name + "\"");
      }
      return files;
    }
  }
  std::string known;
  for (const ModelFiles& model : List()) known.append(known.empty() ? "" : ", ").append(model.card.name);
  return absl::NotFoundError("there is no model \"" + std::string(name) + "\"; " +
                             (known.empty() ? "there are none yet" : "there are " + known) +
                             ". Add one with `likeness model add`");
}

absl::StatusOr<ModelFiles> ModelLibrary::Add(const fs::path& weights, ModelCard card) const {
  if (folders_.empty()) return absl::FailedPreconditionError("there is no folder to add models to");
  LIKENESS_ASSIGN_OR_RETURN(const auto file, MappedFile::Open(weights));
  const std::string sha256 = Sha256Hex(file->bytes());
  if (card.sha256.empty()) card.sha256 = sha256;
  if (card.input.name.empty()) {
    auto outline = ReadOnnxOutline(file->bytes());
    if (!outline.ok()) return Annotate(outline.status(), weights.string());
    if (outline->inputs.size() == 1) card.input.name = outline->inputs.front();
  }
  LIKENESS_ASSIGN_OR_RETURN(const auto model, LoadModel(weights, card));
  LIKENESS_RETURN_IF_ERROR(RunOnNoise(*model));
  card.dimension = static_cast<uint32_t>(model->output_size());
  LIKENESS_RETURN_IF_ERROR(ValidateModelCard(card));
  ModelFiles files = FilesIn(folders_.front(), card.name);
  files.card = card;
  if (Exists(files.card_path)) {
    const auto present = ReadModelCard(files.card_path);
    if (!present.ok() || CanonicalModelDescription(*present) != CanonicalModelDescription(card)) {
      return absl::AlreadyExistsError("there is another model \"" + card.name + "\" in " + folders_.front().string() +
                                      "; give this one another name");
    }
  }
  // The weights first: a card without weights would be a model that cannot be used.
  LIKENESS_RETURN_IF_ERROR(WriteFileAtomic(files.weights_path, file->bytes()));
  LIKENESS_RETURN_IF_ERROR(WriteModelCard(files.card_path, card));
  return files;
}

absl::Status ModelLibrary::Check(const ModelFiles& model) {
  LIKENESS_ASSIGN_OR_RETURN(const auto loaded, LoadModel(model.weights_path, model.card));
  return RunOnNoise(*loaded);
}

}  // namespace likeness
