// likeness model: the models of the deep feature: list, add, check.
#include "base/bytes.h"
#include "base/file.h"
#include "cli/command.h"
#include "infer/model_card.h"
#include "infer/model_library.h"
#include "infer/recognize.h"

namespace likeness {
namespace {

using Json = nlohmann::ordered_json;

struct ModelFlags {
  std::string file;
  std::string name;
  std::string layer;
  std::string card;
  std::vector<uint32_t> size = {224, 224};
  std::string channel_order = "RGB";
  std::string layout = "NCHW";
  std::vector<float> mean = {0, 0, 0};
  std::vector<float> scale = {1, 1, 1};
  std::string fit = "crop";
  std::string sha256;
  std::string licence;
};

// The models of a home that may not exist yet.
ModelLibrary LibraryOf(const CommonFlags& common) { return ModelLibrary::Usual(common.home); }

Json ModelJson(const ModelFiles& model) {
  return {{"name", model.card.name},           {"description", model.card.description},
          {"licence", model.card.licence},     {"layer", model.card.layer},
          {"dimension", model.card.dimension}, {"input", {model.card.input.width, model.card.input.height}},
          {"sha256", model.card.sha256},       {"file", model.weights_path.string()}};
}

// The well-known public models that a user with a network may fetch and add; see models/catalogue.json.
Json Catalogue(const ModelLibrary& library) {
  for (const std::filesystem::path& folder : library.folders()) {
    for (const auto& path : {folder / "catalogue.json", folder.parent_path() / "catalogue.json"}) {
      const absl::StatusOr<std::string> text = ReadFile(path, 1 << 20);
      if (!text.ok()) continue;
      Json json = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
      if (json.is_object() && json.contains("models")) return json["models"];
      if (json.is_array()) return json;
    }
  }
  return Json::array();
}

absl::StatusOr<CommandOutput> RunList(const CommonFlags& common) {
  const ModelLibrary library = LibraryOf(common);
  CommandOutput output;
  output.json = {{"models", Json::array()}, {"default", kDefaultModel}, {"catalogue", Catalogue(library)}};
  for (const ModelFiles& model : library.List()) {
    output.json["models"].push_back(ModelJson(model));
    output.text += model.card.name + (model.card.name == kDefaultModel ? " (default)" : "") + ": " +
                   std::to_string(model.card.dimension) + " floats from layer " + model.card.layer + ", " +
                   std::to_string(model.card.input.width) + " x " + std::to_string(model.card.input.height) +
                   (model.card.licence.empty() ? "" : ", " + model.card.licence) + "\n";
  }
  if (output.text.empty()) output.text = "no model is ready: run scripts/prepare-models\n";
  if (!output.json["catalogue"].empty()) {
    output.text += "\nwell-known models that you can fetch yourself and add:\n";
    for (const Json& model : output.json["catalogue"]) {
      output.text += "  " + model.value("name", "") + ": " + model.value("description", "") + "\n";
    }
  }
  return output;
}

// A card from a file, or of that name from the catalogue. One that names no checksum needs the user's word.
absl::StatusOr<ModelCard> ReadCard(const ModelLibrary& library, const ModelFlags& flags) {
  Json json;
  std::error_code error;
  if (std::filesystem::exists(flags.card, error)) {
    LIKENESS_ASSIGN_OR_RETURN(const std::string text, ReadFile(flags.card, 1 << 20));
    json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  } else {
    for (const Json& model : Catalogue(library)) {
      if (model.value("name", "") == flags.card) json = model;
    }
    if (json.is_null()) {
      return absl::NotFoundError("there is no card " + flags.card + ", as a file or in `likeness model list`");
    }
  }
  if (!json.is_object()) return absl::InvalidArgumentError(flags.card + " is not a JSON object");
  if (!flags.sha256.empty()) json["sha256"] = flags.sha256;
  if (json.value("sha256", Json()).is_null()) {
    LIKENESS_ASSIGN_OR_RETURN(const auto file, MappedFile::Open(flags.file));
    return absl::FailedPreconditionError("the card names no checksum; that of " + flags.file + " is " +
                                         Sha256Hex(file->bytes()) + ": if you trust the file, give it as --sha256");
  }
  return ParseModelCard(json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

// A card that was recognized, changed by the flags that were given.
ModelCard WithFlags(ModelCard card, const ModelFlags& flags) {
  const ModelFlags usual;
  if (!flags.name.empty()) card.name = flags.name;
  if (!flags.licence.empty()) card.licence = flags.licence;
  if (!flags.sha256.empty()) card.sha256 = flags.sha256;
  if (flags.channel_order != usual.channel_order) card.input.channel_order = flags.channel_order;
  if (flags.fit != usual.fit) card.input.fit = flags.fit;
  for (size_t i = 0; i < 3; ++i) {
    if (flags.mean != usual.mean) card.input.mean[i] = flags.mean.at(i);
    if (flags.scale != usual.scale) card.input.scale[i] = flags.scale.at(i);
  }
  return card;
}

absl::StatusOr<ModelCard> CardFromFlags(const ModelLibrary& library, const ModelFlags& flags) {
  if (!flags.card.empty()) return ReadCard(library, flags);
  ModelCard card;
  if (flags.layer.empty()) {  // One of the paper's networks needs no more said; flags are heard all the same.
    absl::StatusOr<ModelCard> known = RecognizeModel(flags.file);
    if (known.ok()) return WithFlags(*std::move(known), flags);
    if (!absl::IsNotFound(known.status())) return known.status();
  }
  card.name = flags.name.empty() ? std::filesystem::path(flags.file).stem().string() : flags.name;
  card.description = "added from " + std::filesystem::path(flags.file).filename().string();
  card.licence = flags.licence;
  card.sha256 = flags.sha256;
  card.layer = flags.layer;
  card.input.width = flags.size.at(0);
  card.input.height = flags.size.at(1);
  card.input.channel_order = flags.channel_order;
  card.input.layout = flags.layout;
  card.input.fit = flags.fit;
  for (size_t i = 0; i < 3; ++i) {
    card.input.mean[i] = flags.mean.at(i);
    card.input.scale[i] = flags.scale.at(i);
  }
  return card;
}

absl::StatusOr<CommandOutput> RunModelAdd(const CommonFlags& common, const ModelFlags& flags) {
  const ModelLibrary library = LibraryOf(common);
  LIKENESS_ASSIGN_OR_RETURN(ModelCard card, CardFromFlags(library, flags));
  LIKENESS_ASSIGN_OR_RETURN(const ModelFiles model, library.Add(flags.file, std::move(card)));
  return CommandOutput{ModelJson(model), "added " + model.card.name + ": " + std::to_string(model.card.dimension) +
                                             " floats from layer " + model.card.layer +
                                             "\nuse it with `likeness fingerprint --model " + model.card.name + "`\n"};
}

absl::StatusOr<CommandOutput> RunCheck(const CommonFlags& common, const std::string& name) {
  const ModelLibrary library = LibraryOf(common);
  std::vector<ModelFiles> models = library.List();
  if (!name.empty()) {
    LIKENESS_ASSIGN_OR_RETURN(const ModelFiles model, library.Find(name));
    models = {model};
  }
  CommandOutput output;
  output.json = {{"models", Json::array()}};
  for (const ModelFiles& model : models) {
    const absl::Status status = ModelLibrary::Check(model);
    output.failed |= !status.ok();
    output.json["models"].push_back({{"name", model.card.name}, {"ok", status.ok()}, {"reason", MessageOf(status)}});
    output.text += model.card.name + (status.ok() ? ": good\n" : ": " + MessageOf(status) + "\n");
  }
  return output;
}

}  // namespace

void AddModelCommand(Program& program) {
  auto flags = std::make_shared<ModelFlags>();
  CLI::App* model = program.Add("model", "The models that compute deep features", nullptr);
  model->require_subcommand(1);
  program.Add(
      "list", "List the models that are ready, and well-known ones to fetch",
      [&program] { return RunList(program.flags); }, model);

  CLI::App* add = program.Add(
      "add", "Add any ONNX model of yours; AlexNet, VGG-16 and GoogLeNet are recognized",
      [&program, flags] { return RunModelAdd(program.flags, *flags); }, model);
  add->add_option("file", flags->file, "The .onnx file")->required();
  add->add_option("--card", flags->card,
                  "Its model card, a JSON file or a name of the catalogue, instead of the flags below");
  add->add_option("--name", flags->name, "Name for it; default: that of the file");
  add->add_option("--layer", flags->layer, "Name of the tensor whose values are the feature");
  add->add_option("--size", flags->size, "Width and height of its input, in pixels")->expected(2);
  add->add_option("--channel-order", flags->channel_order)->check(CLI::IsMember({"RGB", "BGR"}))->capture_default_str();
  add->add_option("--layout", flags->layout)->check(CLI::IsMember({"NCHW", "NHWC"}))->capture_default_str();
  add->add_option("--mean", flags->mean, "Taken off each channel, of pixels from 0 to 255")->expected(3);
  add->add_option("--scale", flags->scale, "Multiplies each channel after that")->expected(3);
  add->add_option("--fit", flags->fit, "How a picture is fitted into the input")
      ->check(CLI::IsMember({"crop", "mild", "pad", "stretch"}))
      ->capture_default_str();
  add->add_option("--sha256", flags->sha256, "Checksum that the file must have");
  add->add_option("--licence", flags->licence, "Licence of the weights, for your own record");

  auto name = std::make_shared<std::string>();
  CLI::App* check = program.Add(
      "check", "Check checksum, layer and shapes, and run the model once",
      [&program, name] { return RunCheck(program.flags, *name); }, model);
  check->add_option("name", *name, "The model; default: all");
}

}  // namespace likeness
