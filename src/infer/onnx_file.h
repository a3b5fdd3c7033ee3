// An ONNX file read whole: nodes with their attributes, constants, shapes. For executors of our own; ONNX Runtime reads
// the bytes itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace likeness {

// Floats where they lie, which in a file may be at any address.
class FloatView {
 public:
  FloatView() = default;
  FloatView(const void* data, size_t size) : data_(static_cast<const std::byte*>(data)), size_(size) {}
  explicit FloatView(const std::vector<float>& floats) : FloatView(floats.data(), floats.size()) {}

  const void* data() const { return data_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  float operator[](size_t i) const {
    float value;
    std::memcpy(&value, data_ + i * sizeof(float), sizeof(float));
    return value;
  }

 private:
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// A constant of float or integer elements, row by row.
struct OnnxTensor {
  std::vector<int64_t> shape;
  FloatView floats;                             // into the file, or into `storage`
  std::shared_ptr<std::vector<float>> storage;  // null when the file's own bytes serve
  std::vector<int64_t> integers;
  bool whole = false;  // elements are `integers`

  size_t size() const { return whole ? integers.size() : floats.size(); }
};

struct OnnxAttribute {
  float number = 0;
  int64_t integer = 0;
  std::string_view text;
  std::vector<float> numbers;
  std::vector<int64_t> integers;
  std::shared_ptr<OnnxTensor> tensor;
};

struct OnnxNode {
  std::string_view name, op, domain;
  std::vector<std::string_view> inputs, outputs;
  std::map<std::string_view, OnnxAttribute> attributes;

  // The attribute, or the value for a node without it.
  int64_t Integer(std::string_view attribute, int64_t otherwise) const;
  float Number(std::string_view attribute, float otherwise) const;
  std::string_view Text(std::string_view attribute, std::string_view otherwise) const;
  std::vector<int64_t> Integers(std::string_view attribute, std::vector<int64_t> otherwise) const;
};

struct OnnxValueInfo {
  std::string_view name;
  uint64_t element = 0;        // onnx_field::kFloat, ...
  std::vector<int64_t> shape;  // -1: unknown
};

// Views point into the bytes that were read.
struct OnnxFile {
  std::vector<OnnxNode> nodes;  // in the order of the file
  std::map<std::string_view, OnnxTensor> constants;
  std::vector<OnnxValueInfo> inputs;  // those that are not constants
  int64_t opset = 0;                  // of the standard operators
};

// Errors: InvalidArgument when the bytes are no ONNX model; Unimplemented for what this reader leaves to ONNX Runtime
// (constants of other types or in other files, inner graphs).
absl::StatusOr<OnnxFile> ReadOnnxFile(std::span<const std::byte> bytes);

}  // namespace likeness
