#include "infer/onnx_file.h"

#include <bit>
#include <cstring>

#include "base/bytes.h"
#include "infer/wire.h"

namespace likeness {
namespace {

using namespace onnx_field;

static_assert(std::endian::native == std::endian::little, "raw tensors are little endian");

constexpr int64_t kMostElements = int64_t{1} << 31;

// Collects what is wrong while a message is walked through: damage wins over what is merely not read.
struct Verdict {
  bool damaged = false;
  std::string unread;
};

void TakeNumbers(const WireField& field, std::vector<int64_t>& out, Verdict& verdict) {
  if (field.body.empty() && field.whole.size() > 1 && (field.whole.front() & 7) == 0) {
    out.push_back(static_cast<int64_t>(field.value));
    return;
  }
  for (std::string_view rest = field.body; !rest.empty();) {
    const auto value = TakeVarint(rest);
    if (!value) {
      verdict.damaged = true;
      return;
    }
    out.push_back(static_cast<int64_t>(*value));
  }
}

void TakeFloats(const WireField& field, std::vector<float>& out, Verdict& verdict) {
  if (field.body.empty()) {
    out.push_back(std::bit_cast<float>(static_cast<uint32_t>(field.value)));
    return;
  }
  verdict.damaged |= field.body.size() % sizeof(float) != 0;
  const size_t before = out.size();
  out.resize(before + field.body.size() / sizeof(float));
  std::memcpy(out.data() + before, field.body.data(), (out.size() - before) * sizeof(float));
}

OnnxTensor ReadTensor(std::string_view body, std::string_view& name, Verdict& verdict) {
  OnnxTensor tensor;
  uint64_t type = 0;
  std::string_view raw;
  std::vector<float> floats;
  bool elsewhere = false;
  verdict.damaged |= !ForEachField(body, [&](const WireField& field) {
    switch (field.number) {
      case kTensorDimension:
        TakeNumbers(field, tensor.shape, verdict);
        break;
      case kTensorType:
        type = field.value;
        break;
      case kTensorFloats:
        TakeFloats(field, floats, verdict);
        break;
      case kTensorInts:
      case kTensorLongs:
        TakeNumbers(field, tensor.integers, verdict);
        break;
      case kTensorName:
        name = field.body;
        break;
      case kTensorRaw:
        raw = field.body;
        break;
      case kTensorLocation:
        elsewhere |= field.value != 0;
        break;
      default:
        break;
    }
  });
  int64_t count = 1;
  for (const int64_t size : tensor.shape) {
    if (size < 0 || (size > 0 && count > kMostElements / size)) {
      verdict.damaged = true;
      return tensor;
    }
    count *= size;
  }
  if (elsewhere) verdict.unread = "constants in other files";
  if (type == kFloat) {
    if (raw.empty()) {
      tensor.storage = std::make_shared<std::vector<float>>(std::move(floats));
      tensor.floats = FloatView(*tensor.storage);
    } else {
      tensor.floats = FloatView(raw.data(), raw.size() / sizeof(float));
    }
  } else if (type == kInt64 || type == kInt32) {
    tensor.whole = true;
    const size_t width = type == kInt64 ? 8 : 4;
    for (; raw.size() >= width; raw.remove_prefix(width)) {
      int64_t value = 0;
      std::memcpy(&value, raw.data(), width);
      tensor.integers.push_back(type == kInt64 ? value : static_cast<int32_t>(value));
    }
  } else if (verdict.unread.empty()) {
    verdict.unread = "constants of element type " + std::to_string(type);
  }
  if (verdict.unread.empty()) verdict.damaged |= tensor.size() != static_cast<size_t>(count);
  return tensor;
}

void ReadAttribute(std::string_view body, OnnxNode& node, Verdict& verdict) {
  OnnxAttribute attribute;
  std::string_view name;
  verdict.damaged |= !ForEachField(body, [&](const WireField& field) {
    switch (field.number) {
      case kAttributeName:
        name = field.body;
        break;
      case kAttributeFloat:
        attribute.number = std::bit_cast<float>(static_cast<uint32_t>(field.value));
        break;
      case kAttributeInteger:
        attribute.integer = static_cast<int64_t>(field.value);
        break;
      case kAttributeText:
        attribute.text = field.body;
        break;
      case kAttributeTensor: {
        std::string_view unused;
        attribute.tensor = std::make_shared<OnnxTensor>(ReadTensor(field.body, unused, verdict));
        break;
      }
      case kAttributeFloats:
        TakeFloats(field, attribute.numbers, verdict);
        break;
      case kAttributeIntegers:
        TakeNumbers(field, attribute.integers, verdict);
        break;
      case kAttributeGraph:
      case kAttributeGraphs:
        verdict.unread = "inner graphs";
        break;
      default:
        break;
    }
  });
  node.attributes.emplace(name, std::move(attribute));
}

OnnxNode ReadNode(std::string_view body, Verdict& verdict) {
  OnnxNode node;
  verdict.damaged |= !ForEachField(body, [&](const WireField& field) {
    if (field.number == kNodeInput) node.inputs.push_back(field.body);
    if (field.number == kNodeOutput) node.outputs.push_back(field.body);
    if (field.number == kNodeName) node.name = field.body;
    if (field.number == kNodeOperator) node.op = field.body;
    if (field.number == kNodeDomain) node.domain = field.body;
    if (field.number == kNodeAttribute) ReadAttribute(field.body, node, verdict);
  });
  return node;
}

OnnxValueInfo ReadValueInfo(std::string_view body, Verdict& verdict) {
  OnnxValueInfo info;
  const auto dimension = [&](const WireField& field) {
    if (field.number != kShapeDimension) return;
    int64_t size = -1;
    verdict.damaged |= !ForEachField(field.body, [&](const WireField& part) {
      if (part.number == kDimensionValue) size = static_cast<int64_t>(part.value);
    });
    info.shape.push_back(size);
  };
  const auto tensor = [&](const WireField& field) {
    if (field.number == kTensorTypeElement) info.element = field.value;
    if (field.number == kTensorTypeShape) verdict.damaged |= !ForEachField(field.body, dimension);
  };
  verdict.damaged |= !ForEachField(body, [&](const WireField& field) {
    if (field.number == kValueName) info.name = field.body;
    if (field.number != kValueType) return;
    verdict.damaged |= !ForEachField(field.body, [&](const WireField& type) {
      if (type.number == kTypeTensor) verdict.damaged |= !ForEachField(type.body, tensor);
    });
  });
  return info;
}

}  // namespace

int64_t OnnxNode::Integer(std::string_view attribute, int64_t otherwise) const {
  const auto found = attributes.find(attribute);
  return found == attributes.end() ? otherwise : found->second.integer;
}

float OnnxNode::Number(std::string_view attribute, float otherwise) const {
  const auto found = attributes.find(attribute);
  return found == attributes.end() ? otherwise : found->second.number;
}

std::string_view OnnxNode::Text(std::string_view attribute, std::string_view otherwise) const {
  const auto found = attributes.find(attribute);
  return found == attributes.end() ? otherwise : found->second.text;
}

std::vector<int64_t> OnnxNode::Integers(std::string_view attribute, std::vector<int64_t> otherwise) const {
  const auto found = attributes.find(attribute);
  return found == attributes.end() ? otherwise : found->second.integers;
}

absl::StatusOr<OnnxFile> ReadOnnxFile(std::span<const std::byte> bytes) {
  OnnxFile file;
  Verdict verdict;
  std::vector<OnnxValueInfo> inputs;
  const auto graph_field = [&](const WireField& field) {
    if (field.number == kGraphNode) file.nodes.push_back(ReadNode(field.body, verdict));
    if (field.number == kGraphInput) inputs.push_back(ReadValueInfo(field.body, verdict));
    if (field.number == kGraphInitializer) {
      std::string_view name;
      OnnxTensor tensor = ReadTensor(field.body, name, verdict);
      file.constants.insert_or_assign(name, std::move(tensor));
    }
  };
  verdict.damaged |= !ForEachField(AsText(bytes), [&](const WireField& field) {
    if (field.number == kModelGraph) verdict.damaged |= !ForEachField(field.body, graph_field);
    if (field.number == kModelOpset) {
      std::string_view domain;
      int64_t version = 0;
      verdict.damaged |= !ForEachField(field.body, [&](const WireField& part) {
        if (part.number == kOpsetDomain) domain = part.body;
        if (part.number == kOpsetVersion) version = static_cast<int64_t>(part.value);
      });
      if (domain.empty() || domain == "ai.onnx") file.opset = version;
    }
  });
  if (verdict.damaged || file.nodes.empty()) {
    return absl::InvalidArgumentError("the file is not an ONNX model, or it is damaged");
  }
  if (!verdict.unread.empty()) return absl::UnimplementedError("the model has " + verdict.unread);
  for (OnnxValueInfo& info : inputs) {
    if (!file.constants.contains(info.name)) file.inputs.push_back(std::move(info));
  }
  return file;
}

}  // namespace likeness
