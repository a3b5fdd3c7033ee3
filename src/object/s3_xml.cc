#include "object/s3_xml.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace likeness {
namespace {

// What `text` stands for; an entity that is not known stays as it is.
std::string Resolve(std::string_view text) {
  static constexpr std::pair<std::string_view, char> kNamed[] = {
      {"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    const size_t end = text[i] == '&' ? text.find(';', i) : std::string_view::npos;
    if (end == std::string_view::npos || end - i > 8) {
      plain += text[i];
      continue;
    }
    std::string_view entity = text.substr(i + 1, end - i - 1);
    const auto* named = std::ranges::find(kNamed, entity, &std::pair<std::string_view, char>::first);
    unsigned code = 0;
    if (named != std::end(kNamed)) {
      code = static_cast<unsigned>(named->second);
    } else if (entity.starts_with('#')) {
      entity.remove_prefix(1);
      const int base = entity.starts_with('x') || entity.starts_with('X') ? 16 : 10;
      if (base == 16) entity.remove_prefix(1);
      const auto [stop, error] = std::from_chars(entity.data(), entity.data() + entity.size(), code, base);
      if (error != std::errc() || stop != entity.data() + entity.size() || code > 0x7f) code = 0;
    }
    if (code == 0) {
      plain += text[i];
    } else {
      plain += static_cast<char>(code);
      i = end;
    }
  }
  return plain;
}

// The raw content of the first <name> at or after `from`, and where it ends.
std::optional<std::string_view> Element(std::string_view xml, std::string_view name, size_t from, size_t* after) {
  const std::string open = "<" + std::string(name), close = "</" + std::string(name) + ">";
  while (true) {
    const size_t begin = xml.find(open, from);
    if (begin == std::string_view::npos) return std::nullopt;
    const size_t tag_end = xml.find('>', begin);
    if (tag_end == std::string_view::npos) return std::nullopt;
    const char next = xml[begin + open.size()];
    if (next != '>' && next != ' ' && next != '/') {  // A longer name that begins alike.
      from = tag_end;
      continue;
    }
    if (xml[tag_end - 1] == '/') {
      *after = tag_end + 1;
      return xml.substr(tag_end, 0);
    }
    const size_t end = xml.find(close, tag_end);
    if (end == std::string_view::npos) return std::nullopt;
    *after = end + close.size();
    return xml.substr(tag_end + 1, end - tag_end - 1);
  }
}

}  // namespace

std::string XmlText(std::string_view xml, std::string_view name, size_t from) {
  size_t after = 0;
  const auto content = Element(xml, name, from, &after);
  return content ? Resolve(*content) : "";
}

absl::StatusOr<S3Page> ParseListing(std::string_view xml) {
  if (xml.find("<ListBucketResult") == std::string_view::npos || xml.find("</ListBucketResult>") == xml.npos) {
    return absl::DataLossError("the server's list of objects is not one: is this an S3 endpoint?");
  }
  S3Page page;
  page.truncated = XmlText(xml, "IsTruncated") == "true";
  for (size_t from = 0; const auto content = Element(xml, "Contents", from, &from);) {
    ObjectInfo object{XmlText(*content, "Key"), 0, XmlText(*content, "ETag")};
    std::erase(object.etag, '"');
    const std::string size = XmlText(*content, "Size");
    const auto [stop, error] = std::from_chars(size.data(), size.data() + size.size(), object.size);
    if (object.key.empty() || error != std::errc() || stop != size.data() + size.size()) {
      return absl::DataLossError("the server's list of objects has an entry without a key or a size");
    }
    page.objects.push_back(std::move(object));
  }
  return page;
}

std::string CompleteUploadXml(const std::vector<std::string>& etags) {
  std::string xml = "<CompleteMultipartUpload>";
  for (size_t i = 0; i < etags.size(); ++i) {
    xml += "<Part><PartNumber>" + std::to_string(i + 1) + "</PartNumber><ETag>\"" + etags[i] + "\"</ETag></Part>";
  }
  return xml + "</CompleteMultipartUpload>";
}

}  // namespace likeness
