#include "serve/add_form.h"

#include <algorithm>

#include "serve/multipart.h"

namespace likeness {
namespace {

constexpr size_t kMaxDescription = 16 << 10;  // bytes

std::string* TextOf(Pin& pin, std::string_view name) {
  const std::pair<std::string_view, std::string*> texts[] = {{"pin", &pin.id},
                                                             {"board", &pin.board},
                                                             {"board_title", &pin.board_title},
                                                             {"user", &pin.user},
                                                             {"description", &pin.description},
                                                             {"link", &pin.link},
                                                             {"created", &pin.created}};
  for (const auto& [text, member] : texts) {
    if (text == name) return member;
  }
  return nullptr;
}

absl::Status SetText(NewPicture& picture, std::string_view name, std::string_view value) {
  if (name == "description") {
    if (value.size() > kMaxDescription) {
      return absl::InvalidArgumentError("description is longer than 16 KiB; send a shorter one.");
    }
  } else {
    LIKENESS_RETURN_IF_ERROR(CheckText(name, value));
  }
  if (value.find('\0') != value.npos) {
    return absl::InvalidArgumentError(std::string(name) + " holds a NUL character; leave it out.");
  }
  if (name == "link" && !value.empty() && !value.starts_with("http://") && !value.starts_with("https://")) {
    return absl::InvalidArgumentError("link is no http or https address; send one, or none.");
  }
  *TextOf(picture.pin, name) = value;
  picture.has_words = picture.has_words || !value.empty();
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<NewPicture> ParseNewPicture(const ApiRequest& request, const Target& target) {
  NewPicture picture;
  const std::string type = MediaType(request.Header("content-type"));
  if (type == "multipart/form-data") {
    if (!target.query.empty()) {
      return absl::InvalidArgumentError("'" + target.query.front().first.substr(0, 64) +
                                        "' stands in the address; with a form, send it as a part.");
    }
    LIKENESS_ASSIGN_OR_RETURN(const auto parts, ParseMultipart(request.body, request.Header("content-type")));
    std::vector<std::string> seen;
    for (const FormPart& part : parts) {
      const std::string name = part.name.substr(0, 64);
      if (std::ranges::find(seen, part.name) != seen.end()) {
        return absl::InvalidArgumentError("The form has a part '" + name + "' twice; send it once.");
      }
      seen.push_back(part.name);
      if (part.name == "image") {
        picture.image = AsBytes(part.content);
      } else if (TextOf(picture.pin, part.name) != nullptr) {
        LIKENESS_RETURN_IF_ERROR(SetText(picture, part.name, part.content));
      } else {
        return absl::InvalidArgumentError("There is no part '" + name + "' here; leave it out.");
      }
    }
    if (std::ranges::find(seen, "image") == seen.end()) {
      return absl::InvalidArgumentError("The form has no part 'image'; send the picture in one.");
    }
  } else if (type.starts_with("image/") || type == "application/octet-stream") {
    LIKENESS_RETURN_IF_ERROR(target.Check({"pin", "board", "board_title", "user", "description", "link", "created"}));
    for (const auto& [name, value] : target.query) LIKENESS_RETURN_IF_ERROR(SetText(picture, name, value));
    picture.image = AsBytes(request.body);
  } else {
    return absl::UnimplementedError((type.empty() ? "A body without a type" : type.substr(0, 64)) +
                                    " is not taken here; send multipart/form-data or a picture.");
  }
  if (picture.image.empty()) return absl::InvalidArgumentError("The picture is empty; send the bytes of a file.");
  return picture;
}

}  // namespace likeness
