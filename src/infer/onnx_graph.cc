#include "infer/onnx_graph.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "base/bytes.h"

namespace likeness {
namespace {

// Field numbers of onnx.proto3.
constexpr uint32_t kModelIrVersion = 1, kModelGraph = 7;
constexpr uint32_t kGraphNode = 1, kGraphInitializer = 5, kGraphInput = 11, kGraphOutput = 12;
constexpr uint32_t kNodeInput = 1, kNodeOutput = 2, kNodeAttribute = 5;
constexpr uint32_t kAttributeGraph = 6, kAttributeGraphs = 11;
constexpr uint32_t kValueName = 1, kValueType = 2, kTensorName = 8;

// One field of a protobuf message: `whole` is key and value as they stand, `body` the bytes of a length-delimited one.
struct Field {
  uint32_t number;
  std::string_view whole;
  std::string_view body;
};

std::optional<uint64_t> TakeVarint(std::string_view& rest) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && !rest.empty(); shift += 7) {
    const auto byte = static_cast<uint8_t>(rest.front());
    rest.remove_prefix(1);
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}

// Takes the next field off `rest`; nothing when the message is malformed. REQUIRES: !rest.empty()
std::optional<Field> TakeField(std::string_view& rest) {
  const std::string_view before = rest;
  const auto key = TakeVarint(rest);
  if (!key || *key >> 3 == 0 || *key >> 3 > 0x1fffffff) return std::nullopt;
  Field field{static_cast<uint32_t>(*key >> 3), {}, {}};
  size_t size = 0;
  switch (*key & 7) {
    case 0:
      if (!TakeVarint(rest)) return std::nullopt;
      break;
    case 1:
      size = 8;
      break;
    case 2: {
      const auto length = TakeVarint(rest);
      if (!length || *length > rest.size()) return std::nullopt;
      size = static_cast<size_t>(*length);
      field.body = rest.substr(0, size);
      break;
    }
    case 5:
      size = 4;
      break;
    default:
      return std::nullopt;
  }
  if (size > rest.size()) return std::nullopt;
  rest.remove_prefix(size);
  field.whole = before.substr(0, before.size() - rest.size());
  return field;
}

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

std::string_view NameIn(std::string_view message, uint32_t number) {
  std::string_view name;
  ForEachField(message, [&](const Field& field) {
    if (field.number == number) name = field.body;
  });
  return name;
}

struct Node {
  std::vector<std::string_view> inputs, outputs;
  std::string_view whole;
};

struct Graph {
  std::vector<Node> nodes;
  std::vector<std::string_view> inputs, outputs;
  std::unordered_set<std::string_view> constants;
  bool control_flow = false;
  std::string_view body;
};

std::optional<Graph> ReadGraph(std::string_view body) {
  Graph graph;
  graph.body = body;
  bool good = true;
  good &= ForEachField(body, [&](const Field& field) {
    if (field.number == kGraphNode) {
      Node node;
      node.whole = field.whole;
      good &= ForEachField(field.body, [&](const Field& part) {
        if (part.number == kNodeInput) node.inputs.push_back(part.body);
        if (part.number == kNodeOutput) node.outputs.push_back(part.body);
        if (part.number == kNodeAttribute) {
          good &= ForEachField(part.body, [&](const Field& inner) {
            graph.control_flow |= inner.number == kAttributeGraph || inner.number == kAttributeGraphs;
          });
        }
      });
      graph.nodes.push_back(std::move(node));
    }
    if (field.number == kGraphInitializer) graph.constants.insert(NameIn(field.body, kTensorName));
    if (field.number == kGraphInput) graph.inputs.push_back(NameIn(field.body, kValueName));
    if (field.number == kGraphOutput) graph.outputs.push_back(NameIn(field.body, kValueName));
  });
  if (!good) return std::nullopt;
  return graph;
}

struct ModelFile {
  std::vector<Field> fields;  // all but the graph
  Graph graph;
};

absl::StatusOr<ModelFile> ReadModelFile(std::span<const std::byte> file) {
  const absl::Status refused = absl::InvalidArgumentError("the file is not an ONNX model, or it is damaged");
  ModelFile model;
  std::optional<std::string_view> body;
  bool versioned = false, twice = false;
  if (!ForEachField(AsText(file), [&](const Field& field) {
        if (field.number == kModelGraph) {
          twice |= body.has_value();
          body = field.body;
          return;
        }
        versioned |= field.number == kModelIrVersion;
        model.fields.push_back(field);
      })) {
    return refused;
  }
  if (!versioned || !body || twice) return refused;
  auto graph = ReadGraph(*body);
  if (!graph || graph->nodes.empty()) return refused;
  model.graph = std::move(*graph);
  return model;
}

void AppendVarint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

void AppendBytes(std::string& out, uint32_t number, std::string_view body) {
  AppendVarint(out, number << 3 | 2);
  AppendVarint(out, body.size());
  out.append(body);
}

// Single-character edits that turn one name into the other, with a name inside the other counting little.
size_t EditDistance(std::string_view a, std::string_view b) {
  a = a.substr(0, 128);
  b = b.substr(0, 128);
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  const bool inside = !a.empty() && b.find(a) != std::string_view::npos;
  return inside ? row[b.size()] / 8 : row[b.size()];
}

absl::Status NoSuchTensor(const Graph& graph, std::string_view tensor) {
  std::vector<std::pair<size_t, std::string_view>> ranked;
  for (const Node& node : graph.nodes) {
    for (const std::string_view name : node.outputs) {
      if (!name.empty()) ranked.emplace_back(EditDistance(tensor, name), name);
    }
  }
  // Near names first; where none is near, the declared outputs are what is most likely meant.
  for (auto& [distance, name] : ranked) {
    if (distance > tensor.size() / 2 && std::ranges::find(graph.outputs, name) == graph.outputs.end()) distance += 1000;
  }
  std::ranges::stable_sort(ranked);
  std::string names;
  for (size_t i = 0; i < std::min<size_t>(5, ranked.size()); ++i) {
    names.append(i == 0 ? "" : ", ").append("\"").append(ranked[i].second).append("\"");
  }
  return absl::InvalidArgumentError("the model has no layer \"" + std::string(tensor) + "\"; the nearest are " + names);
}

// Marks the nodes that lead to `tensor`; nothing when it is no output of a node.
std::optional<std::vector<bool>> NeededNodes(const Graph& graph, std::string_view tensor) {
  std::unordered_map<std::string_view, size_t> maker;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    for (const std::string_view name : graph.nodes[i].outputs) maker.emplace(name, i);
  }
  if (tensor.empty() || !maker.contains(tensor)) return std::nullopt;
  std::vector<bool> needed(graph.nodes.size(), false);
  std::vector<size_t> pending = {maker[tensor]};
  while (!pending.empty()) {
    const size_t at = pending.back();
    pending.pop_back();
    if (needed[at]) continue;
    needed[at] = true;
    for (const std::string_view input : graph.nodes[at].inputs) {
      if (const auto found = maker.find(input); found != maker.end()) pending.push_back(found->second);
    }
  }
  if (graph.control_flow) needed.assign(needed.size(), true);  // inner graphs use outer names without listing them
  return needed;
}

}  // namespace

absl::StatusOr<OnnxOutline> ReadOnnxOutline(std::span<const std::byte> file) {
  LIKENESS_ASSIGN_OR_RETURN(const ModelFile model, ReadModelFile(file));
  OnnxOutline outline;
  for (const std::string_view name : model.graph.inputs) {
    if (!model.graph.constants.contains(name)) outline.inputs.emplace_back(name);
  }
  outline.outputs.assign(model.graph.outputs.begin(), model.graph.outputs.end());
  for (const Node& node : model.graph.nodes) {
    for (const std::string_view name : node.outputs) {
      if (!name.empty()) outline.tensors.emplace_back(name);
    }
  }
  return outline;
}

absl::StatusOr<std::string> CutOnnxGraph(std::span<const std::byte> file, std::string_view tensor) {
  LIKENESS_ASSIGN_OR_RETURN(const ModelFile model, ReadModelFile(file));
  const auto needed = NeededNodes(model.graph, tensor);
  if (!needed) return NoSuchTensor(model.graph, tensor);
  std::string graph;
  graph.reserve(model.graph.body.size() + tensor.size() + 16);
  size_t node = 0;
  std::string_view declared;  // the output as the file declares it, with its type
  ForEachField(model.graph.body, [&](const Field& field) {
    if (field.number == kGraphNode && !(*needed)[node++]) return;
    if (field.number == kGraphOutput) {
      if (NameIn(field.body, kValueName) == tensor) declared = field.body;
      return;
    }
    graph.append(field.whole);
  });
  std::string value(declared);
  if (declared.empty()) {
    AppendBytes(value, kValueName, tensor);
    AppendBytes(value, kValueType, "\x0a\x02\x08\x01");  // tensor_type { elem_type: FLOAT }, of any shape
  }
  AppendBytes(graph, kGraphOutput, value);
  std::string out;
  out.reserve(file.size() + value.size() + 32);
  for (const Field& field : model.fields) out.append(field.whole);
  AppendBytes(out, kModelGraph, graph);
  return out;
}

}  // namespace likeness
