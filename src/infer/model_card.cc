#include "infer/model_card.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/file.h"

namespace likeness {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t kMaxCardBytes = 1 << 20;
constexpr uint32_t kMaxSide = 4096;

absl::Status Refuse(std::string_view field, std::string_view what) {
  return absl::InvalidArgumentError("the model card's field \"" + std::string(field) + "\" must be " +
                                    std::string(what));
}

// Each Read leaves `out` as it is when the field is missing.
absl::Status ReadText(const Json& json, const char* key, std::string_view field, std::string& out) {
  const auto at = json.find(key);
  if (at == json.end()) return absl::OkStatus();
  if (!at->is_string()) return Refuse(field, "a text");
  out = at->get<std::string>();
  return absl::OkStatus();
}

absl::Status ReadNumber(const Json& json, const char* key, std::string_view field, uint32_t& out) {
  const auto at = json.find(key);
  if (at == json.end()) return absl::OkStatus();
  if (!at->is_number_unsigned() || at->get<uint64_t>() > UINT32_MAX) return Refuse(field, "a whole number");
  out = at->get<uint32_t>();
  return absl::OkStatus();
}

absl::Status ReadTriple(const Json& json, const char* key, std::string_view field, std::array<float, 3>& out) {
  const auto at = json.find(key);
  if (at == json.end()) return absl::OkStatus();
  if (!at->is_array() || at->size() != 3) return Refuse(field, "a list of three numbers");
  for (size_t i = 0; i < 3; ++i) {
    if (!(*at)[i].is_number()) return Refuse(field, "a list of three numbers");
    out[i] = (*at)[i].get<float>();
  }
  return absl::OkStatus();
}

absl::Status ReadInput(const Json& json, ModelInput& input) {
  const auto at = json.find("input");
  if (at == json.end() || !at->is_object()) return Refuse("input", "an object");
  LIKENESS_RETURN_IF_ERROR(ReadText(*at, "name", "input.name", input.name));
  LIKENESS_RETURN_IF_ERROR(ReadNumber(*at, "width", "input.width", input.width));
  LIKENESS_RETURN_IF_ERROR(ReadNumber(*at, "height", "input.height", input.height));
  LIKENESS_RETURN_IF_ERROR(ReadText(*at, "channel_order", "input.channel_order", input.channel_order));
  LIKENESS_RETURN_IF_ERROR(ReadText(*at, "layout", "input.layout", input.layout));
  LIKENESS_RETURN_IF_ERROR(ReadTriple(*at, "mean", "input.mean", input.mean));
  LIKENESS_RETURN_IF_ERROR(ReadTriple(*at, "scale", "input.scale", input.scale));
  return ReadText(*at, "fit", "input.fit", input.fit);
}

bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= 64 && name[0] >= 'a' && name[0] <= 'z' &&
         std::ranges::all_of(
             name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-'; });
}

std::string Number(float value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.9g", static_cast<double>(value));
  return text;
}

}  // namespace

std::string_view PrecisionName(Precision precision) { return precision == Precision::kF32 ? "f32" : "bf16"; }

absl::StatusOr<Precision> ParsePrecision(std::string_view name) {
  if (name == "f32") return Precision::kF32;
  if (name == "bf16") return Precision::kBf16;
  return absl::InvalidArgumentError("there is no precision \"" + std::string(name) + "\"; say f32 or bf16");
}

std::string ModelCard::TensorOf(std::string_view wanted) const {
  const std::string name(wanted.empty() ? std::string_view(layer) : wanted);
  const auto found = layers.find(name);
  return found == layers.end() ? name : found->second;
}

absl::Status ValidateModelCard(const ModelCard& card) {
  if (!IsName(card.name)) {
    return Refuse("name", "at most 64 lower-case letters, digits, '_' and '-', beginning with a letter");
  }
  if (card.sha256.size() != 64 || card.sha256.find_first_not_of("0123456789abcdef") != std::string::npos) {
    return Refuse("sha256", "64 lower-case hexadecimal digits");
  }
  const ModelInput& input = card.input;
  if (input.name.empty()) return Refuse("input.name", "the name of the graph's input");
  for (const auto& [field, side] : {std::pair("input.width", input.width), std::pair("input.height", input.height)}) {
    if (side == 0 || side > kMaxSide) return Refuse(field, "from 1 to " + std::to_string(kMaxSide));
  }
  if (input.channel_order != "RGB" && input.channel_order != "BGR") {
    return Refuse("input.channel_order", "\"RGB\" or \"BGR\"");
  }
  if (input.layout != "NCHW" && input.layout != "NHWC") return Refuse("input.layout", "\"NCHW\" or \"NHWC\"");
  if (input.fit != "crop" && input.fit != "pad" && input.fit != "mild" && input.fit != "stretch") {
    return Refuse("input.fit", "\"crop\", \"pad\", \"mild\" or \"stretch\"");
  }
  for (size_t i = 0; i < 3; ++i) {
    if (!(std::abs(input.mean[i]) <= 1e6f)) return Refuse("input.mean", "finite, and 1e6 at most");
    if (!(std::abs(input.scale[i]) <= 1e6f) || input.scale[i] == 0) {
      return Refuse("input.scale", "finite, not 0, and 1e6 at most");
    }
  }
  if (!card.pooling.empty() && card.pooling != "first" && card.pooling != "mean") {
    return Refuse("pooling", "\"first\" or \"mean\"");
  }
  if (card.layer.empty()) return Refuse("layer", "a key of \"layers\" or the name of a tensor");
  if (card.dimension == 0) return Refuse("dimension", "above 0");
  return absl::OkStatus();
}

absl::StatusOr<ModelCard> ParseModelCard(std::string_view text) {
  const Json json = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::InvalidArgumentError("the model card is not a JSON object");
  ModelCard card;
  LIKENESS_RETURN_IF_ERROR(ReadText(json, "name", "name", card.name));
  LIKENESS_RETURN_IF_ERROR(ReadText(json, "description", "description", card.description));
  LIKENESS_RETURN_IF_ERROR(ReadText(json, "licence", "licence", card.licence));
  LIKENESS_RETURN_IF_ERROR(ReadText(json, "sha256", "sha256", card.sha256));
  LIKENESS_RETURN_IF_ERROR(ReadText(json, "layer", "layer", card.layer));
  LIKENESS_RETURN_IF_ERROR(ReadNumber(json, "dimension", "dimension", card.dimension));
  LIKENESS_RETURN_IF_ERROR(ReadInput(json, card.input));
  if (json.contains("pooling")) LIKENESS_RETURN_IF_ERROR(ReadText(json, "pooling", "pooling", card.pooling));
  std::string precision(PrecisionName(card.precision));
  LIKENESS_RETURN_IF_ERROR(ReadText(json, "precision", "precision", precision));
  const auto known = ParsePrecision(precision);
  if (!known.ok()) return Refuse("precision", "\"f32\" or \"bf16\"");
  card.precision = *known;
  if (const auto at = json.find("source"); at != json.end()) {
    if (!at->is_object()) return Refuse("source", "an object");
    for (const auto& [key, value] : at->items()) {
      card.source[key] = value.is_string() ? value.get<std::string>() : value.dump();
    }
  }
  if (const auto at = json.find("layers"); at != json.end()) {
    if (!at->is_object()) return Refuse("layers", "an object of texts");
    for (const auto& [key, value] : at->items()) {
      if (!value.is_string()) return Refuse("layers", "an object of texts");
      card.layers[key] = value.get<std::string>();
    }
  }
  LIKENESS_RETURN_IF_ERROR(ValidateModelCard(card));
  return card;
}

absl::StatusOr<ModelCard> ReadModelCard(const std::filesystem::path& path) {
  LIKENESS_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxCardBytes));
  auto card = ParseModelCard(text);
  if (!card.ok()) return Annotate(card.status(), path.string());
  return card;
}

std::string ModelCardToJson(const ModelCard& card) {
  Json json;
  json["name"] = card.name;
  json["description"] = card.description;
  json["licence"] = card.licence;
  json["source"] = Json::object();
  for (const auto& [key, value] : card.source) json["source"][key] = value;
  json["sha256"] = card.sha256;
  const ModelInput& input = card.input;
  json["input"] = {{"name", input.name},     {"width", input.width},
                   {"height", input.height}, {"channel_order", input.channel_order},
                   {"layout", input.layout}, {"mean", input.mean},
                   {"scale", input.scale},   {"fit", input.fit}};
  json["layers"] = Json::object();
  for (const auto& [key, value] : card.layers) json["layers"][key] = value;
  json["layer"] = card.layer;
  json["dimension"] = card.dimension;
  if (!card.pooling.empty()) json["pooling"] = card.pooling;
  if (card.precision != ModelCard().precision) json["precision"] = PrecisionName(card.precision);
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

absl::Status WriteModelCard(const std::filesystem::path& path, const ModelCard& card) {
  LIKENESS_RETURN_IF_ERROR(ValidateModelCard(card));
  return WriteFileAtomic(path, AsBytes(ModelCardToJson(card)));
}

std::string CanonicalModelDescription(const ModelCard& card, std::string_view layer,
                                      std::optional<Precision> precision) {
  const ModelInput& input = card.input;
  std::string text = "sha256=" + card.sha256 + "\ntensor=" + card.TensorOf(layer) + "\ninput=" + input.name +
                     "\nsize=" + std::to_string(input.width) + "x" + std::to_string(input.height) +
                     "\nchannels=" + input.channel_order + "\nlayout=" + input.layout + "\nmean=";
  for (const float value : input.mean) text += Number(value) + ",";
  text += "\nscale=";
  for (const float value : input.scale) text += Number(value) + ",";
  text += "\nfit=" + input.fit + "\n";
  if (!card.pooling.empty()) text += "pooling=" + card.pooling + "\n";
  // What was computed before there was a choice was computed in f32.
  if (precision.value_or(card.precision) == Precision::kBf16) text += "compute=bf16\n";
  return text;
}

}  // namespace likeness
