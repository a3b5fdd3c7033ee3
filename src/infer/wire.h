// The wire format of protobuf, as far as ONNX files use it: fields taken off a message and put onto one, without a
// schema and without copies (the Protocol Buffers documentation, "Encoding").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace likeness {

// One field of a message. The views point into the message.
struct WireField {
  uint32_t number = 0;
  std::string_view whole;  // key and value as they stand
  std::string_view body;   // the bytes of a length-delimited field
  uint64_t value = 0;      // of a varint, or the bits of a fixed field
};

// Takes a varint off `rest`; nothing when there is none.
std::optional<uint64_t> TakeVarint(std::string_view& rest);

// Takes the next field off `rest`; nothing when the message is malformed. REQUIRES: !rest.empty()
std::optional<WireField> TakeField(std::string_view& rest);

// Calls `visit` for each field; false when the message is malformed.
template <typename Visit>
bool ForEachField(std::string_view message, const Visit& visit) {
  while (!message.empty()) {
    const auto field = TakeField(message);
    if (!field) return false;
    visit(*field);
  }
  return true;
}

void AppendVarint(std::string& out, uint64_t value);
// A field of one number, of four bytes (a float's bits), of bytes.
void AppendNumber(std::string& out, uint32_t number, uint64_t value);
void AppendFloat(std::string& out, uint32_t number, float value);
void AppendBytes(std::string& out, uint32_t number, std::string_view body);

// Field numbers of onnx.proto3 (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3).
namespace onnx_field {
inline constexpr uint32_t kModelIrVersion = 1, kModelGraph = 7, kModelOpset = 8;
inline constexpr uint32_t kOpsetDomain = 1, kOpsetVersion = 2;
inline constexpr uint32_t kGraphNode = 1, kGraphName = 2, kGraphInitializer = 5, kGraphInput = 11, kGraphOutput = 12;
inline constexpr uint32_t kNodeInput = 1, kNodeOutput = 2, kNodeName = 3, kNodeOperator = 4, kNodeAttribute = 5,
                          kNodeDomain = 7;
inline constexpr uint32_t kAttributeName = 1, kAttributeFloat = 2, kAttributeInteger = 3, kAttributeText = 4,
                          kAttributeTensor = 5, kAttributeGraph = 6, kAttributeFloats = 7, kAttributeIntegers = 8,
                          kAttributeGraphs = 11, kAttributeType = 20;
inline constexpr uint32_t kValueName = 1, kValueType = 2, kTypeTensor = 1, kTensorTypeElement = 1, kTensorTypeShape = 2,
                          kShapeDimension = 1, kDimensionValue = 1, kDimensionName = 2;
inline constexpr uint32_t kTensorDimension = 1, kTensorType = 2, kTensorFloats = 4, kTensorInts = 5, kTensorLongs = 7,
                          kTensorName = 8, kTensorRaw = 9, kTensorLocation = 14;
// Element types, and types of attributes.
inline constexpr uint64_t kFloat = 1, kInt32 = 6, kInt64 = 7;
inline constexpr uint64_t kTypeFloat = 1, kTypeInteger = 2, kTypeText = 3, kTypeIntegers = 7;
}  // namespace onnx_field

}  // namespace likeness
