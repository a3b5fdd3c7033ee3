#include "serve/search_form.h"

#include <charconv>
#include <initializer_list>
#include <limits>
#include <nlohmann/json.hpp>

#include "serve/multipart.h"

namespace likeness {
namespace {

using nlohmann::json;

constexpr size_t kMaxJson = 64 << 10;  // a parsed document takes many times its text

absl::StatusOr<json> ParseObject(std::string_view text, std::string_view what) {
  if (text.size() > kMaxJson) {
    return absl::InvalidArgumentError(std::string(what) + " is larger than 64 KiB; send a smaller one.");
  }
  json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (value.is_object()) return value;
  return absl::InvalidArgumentError(std::string(what) + " is not a JSON object; send one, in UTF-8.");
}

// A whole number in [least, most]; fractions and texts are refused.
absl::StatusOr<uint64_t> Number(const json& value, const std::string& name, uint64_t least, uint64_t most) {
  if (value.is_number_unsigned()) {
    const uint64_t number = value.get<uint64_t>();
    if (number >= least && number <= most) return number;
  }
  return absl::InvalidArgumentError(name + " is not a whole number from " + std::to_string(least) + " to " +
                                    std::to_string(most) + ".");
}

absl::StatusOr<Region> ParseRegion(const json& value) {
  const absl::Status wanted =
      absl::InvalidArgumentError("region is not an object of x, y, width and height in pixels; send all four.");
  if (!value.is_object() || value.size() != 4) return wanted;
  Region region;
  const std::pair<const char*, int32_t*> members[] = {
      {"x", &region.x}, {"y", &region.y}, {"width", &region.width}, {"height", &region.height}};
  for (const auto& [name, member] : members) {
    const auto found = value.find(name);
    if (found == value.end()) return wanted;
    const uint64_t least = member == &region.width || member == &region.height ? 1 : 0;
    LIKENESS_ASSIGN_OR_RETURN(
        uint64_t number, Number(*found, std::string("region.") + name, least, std::numeric_limits<int32_t>::max()));
    *member = static_cast<int32_t>(number);
  }
  return region;
}

absl::Status ReadText(const json& value, const std::string& name, std::string& out) {
  if (!value.is_string()) return absl::InvalidArgumentError(name + " is not a text; send a JSON string.");
  out = value.get<std::string>();
  return CheckText(name, out);
}

absl::Status ReadColor(std::string_view text, SearchRequest& search) {
  const std::optional<ColorQuery> color = ColorQuery::Parse(text);
  if (!color) {
    return absl::InvalidArgumentError("color '" + std::string(text.substr(0, 64)) +
                                      "' is not known; give #rrggbb or a name such as red or navy blue.");
  }
  search.color = ColorWish{.color = *color};
  return absl::OkStatus();
}

absl::Status WrongWeight() { return absl::InvalidArgumentError("color_weight is not a number from 0 to 1."); }

absl::StatusOr<float> CheckWeight(double weight) {
  if (weight >= 0 && weight <= 1) return static_cast<float>(weight);
  return WrongWeight();
}

absl::Status WrongConformity() { return absl::InvalidArgumentError("conformity is not a number from 0 to 1."); }

absl::StatusOr<double> CheckConformity(double least) {
  if (least >= 0 && least <= 1) return least;
  return WrongConformity();
}

absl::StatusOr<bool> YesOrNo(const json& value, const std::string& name) {
  if (value.is_boolean()) return value.get<bool>();
  return absl::InvalidArgumentError(name + " is not true or false.");
}

// The parameter, where it is there.
absl::StatusOr<std::optional<bool>> YesOrNo(const Target& target, const std::string& name) {
  const std::string* text = target.Find(name);
  if (text == nullptr) return std::nullopt;
  if (*text != "true" && *text != "false") return absl::InvalidArgumentError(name + " is not true or false.");
  return *text == "true";
}

absl::Status SetWeight(std::optional<float> weight, SearchRequest& search) {
  if (!weight) return absl::OkStatus();
  if (!search.color) return absl::InvalidArgumentError("color_weight says nothing without a color; send one too.");
  search.color->weight = *weight;
  return absl::OkStatus();
}

// The members of `object`; "signature" only where it is allowed.
absl::Status ReadOptions(const json& object, bool with_signature, SearchRequest& search) {
  std::optional<float> weight;
  for (const auto& [key, value] : object.items()) {
    if (key == "k") {
      LIKENESS_ASSIGN_OR_RETURN(search.k, Number(value, "k", 1, kMaxHits));
    } else if (key == "region") {
      LIKENESS_ASSIGN_OR_RETURN(search.region, ParseRegion(value));
    } else if (key == "board") {
      LIKENESS_RETURN_IF_ERROR(ReadText(value, key, search.filter.board));
    } else if (key == "text") {
      LIKENESS_RETURN_IF_ERROR(ReadText(value, key, search.filter.text));
    } else if (key == "color") {
      std::string text;
      LIKENESS_RETURN_IF_ERROR(ReadText(value, key, text));
      LIKENESS_RETURN_IF_ERROR(ReadColor(text, search));
    } else if (key == "color_weight") {
      if (!value.is_number()) return WrongWeight();
      LIKENESS_ASSIGN_OR_RETURN(weight, CheckWeight(value.get<double>()));
    } else if (key == "collapse") {
      LIKENESS_ASSIGN_OR_RETURN(search.ranking.collapse, YesOrNo(value, key));
    } else if (key == "tokens") {
      LIKENESS_ASSIGN_OR_RETURN(search.tokens, YesOrNo(value, key));
    } else if (key == "floor") {
      LIKENESS_ASSIGN_OR_RETURN(search.ranking.floor, YesOrNo(value, key));
    } else if (key == "conformity") {
      if (!value.is_number()) return WrongConformity();
      LIKENESS_ASSIGN_OR_RETURN(search.ranking.conformity, CheckConformity(value.get<double>()));
    } else if (key == "signature" && with_signature) {
      if (value.is_string()) search.signature = Signature::Parse(value.get_ref<const std::string&>());
      if (!search.signature) {
        return absl::InvalidArgumentError("signature is not a string of 32 hexadecimal digits.");
      }
    } else {
      return absl::InvalidArgumentError("There is no key '" + key.substr(0, 64) + "' here; leave it out.");
    }
  }
  return SetWeight(weight, search);
}

absl::Status ReadForm(const ApiRequest& request, SearchRequest& search) {
  LIKENESS_ASSIGN_OR_RETURN(auto parts, ParseMultipart(request.body, request.Header("content-type")));
  bool has_image = false;
  bool has_options = false;
  for (const FormPart& part : parts) {
    if (part.name == "image" && !has_image) {
      has_image = true;
      search.image = AsBytes(part.content);
    } else if (part.name == "request" && !has_options) {
      has_options = true;
      LIKENESS_ASSIGN_OR_RETURN(json object, ParseObject(part.content, "The part 'request'"));
      LIKENESS_RETURN_IF_ERROR(ReadOptions(object, false, search));
    } else {
      const bool known = part.name == "image" || part.name == "request";
      return absl::InvalidArgumentError("The form has a part '" + part.name.substr(0, 64) +
                                        (known ? "' twice; send it once." : "'; send 'image' and 'request' alone."));
    }
  }
  if (has_image) return absl::OkStatus();
  return absl::InvalidArgumentError("The form has no part 'image'; send the picture in one.");
}

absl::Status ReadQuery(const Target& target, SearchRequest& search) {
  LIKENESS_RETURN_IF_ERROR(target.Check(
      {"k", "region", "board", "text", "color", "color_weight", "collapse", "tokens", "floor", "conformity"}));
  LIKENESS_ASSIGN_OR_RETURN(search.k, target.Number("k", 1, kMaxHits, search.k));
  LIKENESS_ASSIGN_OR_RETURN(search.filter.board, target.Text("board"));
  LIKENESS_ASSIGN_OR_RETURN(search.filter.text, target.Text("text"));
  if (const std::string* text = target.Find("color")) LIKENESS_RETURN_IF_ERROR(ReadColor(*text, search));
  if (const std::string* text = target.Find("color_weight")) {
    double number = -1;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
    if (error != std::errc() || end != text->data() + text->size()) return WrongWeight();
    LIKENESS_ASSIGN_OR_RETURN(const float weight, CheckWeight(number));
    LIKENESS_RETURN_IF_ERROR(SetWeight(weight, search));
  }
  LIKENESS_ASSIGN_OR_RETURN(const std::optional<bool> collapse, YesOrNo(target, "collapse"));
  search.ranking.collapse = collapse.value_or(search.ranking.collapse);
  LIKENESS_ASSIGN_OR_RETURN(const std::optional<bool> tokens, YesOrNo(target, "tokens"));
  search.tokens = tokens.value_or(search.tokens);
  LIKENESS_ASSIGN_OR_RETURN(search.ranking.floor, YesOrNo(target, "floor"));
  if (const std::string* text = target.Find("conformity")) {
    double number = -1;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
    if (error != std::errc() || end != text->data() + text->size()) return WrongConformity();
    LIKENESS_ASSIGN_OR_RETURN(search.ranking.conformity, CheckConformity(number));
  }
  if (const std::string* text = target.Find("region")) {
    search.region = Region::Parse(*text);
    if (!search.region) {
      return absl::InvalidArgumentError(
          "region is not x,y,width,height: four whole numbers of pixels, the last two above 0.");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SearchRequest> ParseSearch(const ApiRequest& request, const Target& target) {
  SearchRequest search;
  search.deadline = request.deadline;
  const std::string type = MediaType(request.Header("content-type"));
  const bool form = type == "multipart/form-data";
  if (form || type == "application/json") {
    if (!target.query.empty()) {
      return absl::InvalidArgumentError("'" + target.query.front().first.substr(0, 64) +
                                        "' stands in the address; with this kind of body, send it in the JSON.");
    }
    if (form) {
      LIKENESS_RETURN_IF_ERROR(ReadForm(request, search));
    } else {
      LIKENESS_ASSIGN_OR_RETURN(json object, ParseObject(request.body, "The body"));
      LIKENESS_RETURN_IF_ERROR(ReadOptions(object, true, search));
      if (!search.signature && !search.color) {
        return absl::InvalidArgumentError("The body has no signature and no color; name a known picture or a color.");
      }
      if (!search.signature && search.region) {
        return absl::InvalidArgumentError("The body has a region but no signature; name the picture that it is of.");
      }
      return search;
    }
  } else if (type.starts_with("image/") || type == "application/octet-stream") {
    LIKENESS_RETURN_IF_ERROR(ReadQuery(target, search));
    search.image = AsBytes(request.body);
  } else {
    return absl::UnimplementedError((type.empty() ? "A body without a type" : type.substr(0, 64)) +
                                    " is not taken here; send multipart/form-data, application/json or a picture.");
  }
  if (search.image.empty()) return absl::InvalidArgumentError("The picture is empty; send the bytes of a file.");
  return search;
}

}  // namespace likeness
