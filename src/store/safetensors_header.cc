#include "store/safetensors_header.h"

#include <array>
#include <nlohmann/json.hpp>
#include <set>

namespace likeness {
namespace {

using nlohmann::json;

constexpr size_t kMaxNames = 100'000;  // of tensors and metadata: a small file must not become a large tree
constexpr std::string_view kMetadata = "__metadata__";

struct DtypeFacts {
  std::string_view name;
  size_t size;
};
constexpr std::array<DtypeFacts, 13> kDtypes = {{{"BOOL", 1},
                                                 {"U8", 1},
                                                 {"I8", 1},
                                                 {"I16", 2},
                                                 {"U16", 2},
                                                 {"F16", 2},
                                                 {"BF16", 2},
                                                 {"I32", 4},
                                                 {"U32", 4},
                                                 {"F32", 4},
                                                 {"I64", 8},
                                                 {"U64", 8},
                                                 {"F64", 8}}};

// Takes the events of the JSON reader and allows exactly the header's grammar; every other event ends the reading with
// a reason. So there is no tree, no depth, and no name twice.
class HeaderReader final : public json::json_sax_t {
 public:
  absl::StatusOr<SafetensorsHeader> Result(bool whole) {
    if (unknown_dtype_) return absl::UnimplementedError("safetensors: " + reason_);
    if (!whole || !reason_.empty()) {
      return absl::DataLossError("safetensors: the header is damaged: " + (reason_.empty() ? "not JSON" : reason_));
    }
    return std::move(header_);
  }

  bool null() override { return Refuse("a null"); }
  bool boolean(bool) override { return Refuse("a boolean"); }
  bool number_integer(number_integer_t) override { return Refuse("a negative number"); }
  bool number_float(number_float_t, const string_t&) override { return Refuse("a number that is not an integer"); }
  bool binary(binary_t&) override { return Refuse("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ == Place::kShape) {
      if (entry_.spec.shape.size() == Safetensors::kMaxRank) return Refuse("a shape of too many dimensions");
      entry_.spec.shape.push_back(value);
      return true;
    }
    if (place_ == Place::kOffsets) {
      if (offsets_ == 2) return Refuse("more than two data_offsets");
      (offsets_++ == 0 ? entry_.begin : entry_.end) = value;
      return true;
    }
    return Refuse("a number");
  }

  bool string(string_t& value) override {
    if (place_ == Place::kMetadata) {
      header_.metadata[key_] = value;
      return true;
    }
    if (place_ != Place::kTensor || key_ != "dtype") return Refuse("a text");
    const std::optional<Dtype> dtype = ParseDtype(value);
    if (!dtype) {
      unknown_dtype_ = true;
      return Refuse("an element type that this program does not know");
    }
    entry_.spec.dtype = *dtype;
    return true;
  }

  bool key(string_t& name) override {
    key_ = name;
    if (names_.size() + (place_ == Place::kMetadata ? fields_.size() : 0) > kMaxNames) return Refuse("too many names");
    if (!(place_ == Place::kTop ? names_ : fields_).insert(name).second) return Refuse("a name that comes twice");
    if (place_ == Place::kTensor && name != "dtype" && name != "shape" && name != "data_offsets") {
      return Refuse("an unknown field");
    }
    return true;
  }

  bool start_object(std::size_t) override {
    fields_.clear();
    if (place_ == Place::kStart) {
      place_ = Place::kTop;
    } else if (place_ == Place::kTop) {
      place_ = key_ == kMetadata ? Place::kMetadata : Place::kTensor;
      entry_ = {};
      entry_.spec.name = key_;
      offsets_ = 0;
    } else {
      return Refuse("an object");
    }
    return true;
  }

  bool end_object() override {
    if (place_ == Place::kTop) {
      place_ = Place::kEnd;
      return true;
    }
    if (place_ == Place::kTensor) {
      if (fields_.size() != 3 || offsets_ != 2) return Refuse("a tensor without dtype, shape or two data_offsets");
      header_.entries.push_back(std::move(entry_));
    }
    place_ = Place::kTop;
    return true;
  }

  bool start_array(std::size_t) override {
    if (place_ == Place::kTensor && key_ == "shape") {
      place_ = Place::kShape;
    } else if (place_ == Place::kTensor && key_ == "data_offsets") {
      place_ = Place::kOffsets;
    } else {
      return Refuse("a list");
    }
    return true;
  }

  bool end_array() override {
    place_ = Place::kTensor;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    if (reason_.empty()) reason_ = "not JSON at byte " + std::to_string(position);
    return false;
  }

 private:
  enum class Place { kStart, kTop, kMetadata, kTensor, kShape, kOffsets, kEnd };

  bool Refuse(const char* what) {
    reason_ = std::string(what) + (key_.empty() ? "" : " at '" + key_.substr(0, 100) + "'");
    return false;
  }

  SafetensorsHeader header_;
  SafetensorsHeader::Entry entry_;
  Place place_ = Place::kStart;
  int offsets_ = 0;
  bool unknown_dtype_ = false;
  std::string key_;
  std::string reason_;
  std::set<std::string> names_, fields_;
};

std::string Quoted(const std::string& text) { return json(text).dump(-1, ' ', false, json::error_handler_t::replace); }

}  // namespace

size_t DtypeSize(Dtype dtype) { return kDtypes[static_cast<size_t>(dtype)].size; }

std::string_view DtypeName(Dtype dtype) { return kDtypes[static_cast<size_t>(dtype)].name; }

std::optional<Dtype> ParseDtype(std::string_view name) {
  for (size_t i = 0; i < kDtypes.size(); ++i) {
    if (kDtypes[i].name == name) return static_cast<Dtype>(i);
  }
  return std::nullopt;
}

std::optional<uint64_t> TensorBytes(const TensorSpec& spec) {
  uint64_t bytes = DtypeSize(spec.dtype);
  bool empty = false;
  for (const uint64_t dimension : spec.shape) {
    if (dimension == 0) {
      empty = true;
    } else if (__builtin_mul_overflow(bytes, dimension, &bytes) || bytes > INT64_MAX) {
      return std::nullopt;
    }
  }
  return empty ? 0 : bytes;
}

absl::StatusOr<SafetensorsHeader> ParseSafetensorsHeader(std::string_view text) {
  // The JSON reader would skip a byte order mark and stop at a zero byte.
  if (!text.starts_with('{')) return absl::DataLossError("safetensors: the header does not begin with '{'");
  if (text.find('\0') != std::string_view::npos) {
    return absl::DataLossError("safetensors: the header holds a zero byte");
  }
  HeaderReader reader;
  const bool whole = json::sax_parse(text, &reader);
  return reader.Result(whole);
}

std::string FormatSafetensorsHeader(const SafetensorsHeader& header) {
  std::string text(kHeaderStart);
  text.append(16, '0').append("\"");
  for (const auto& [key, value] : header.metadata) text += "," + Quoted(key) + ":" + Quoted(value);
  text += "}";
  for (const SafetensorsHeader::Entry& entry : header.entries) {
    text +=
        "," + Quoted(entry.spec.name) + ":{\"dtype\":\"" + std::string(DtypeName(entry.spec.dtype)) + "\",\"shape\":[";
    for (size_t i = 0; i < entry.spec.shape.size(); ++i) {
      text += (i > 0 ? "," : "") + std::to_string(entry.spec.shape[i]);
    }
    text += "],\"data_offsets\":[" + std::to_string(entry.begin) + "," + std::to_string(entry.end) + "]}";
  }
  return text + "}";
}

}  // namespace likeness
