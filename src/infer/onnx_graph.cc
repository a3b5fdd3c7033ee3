#include "infer/onnx_graph.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "base/bytes.h"
#include "infer/wire.h"

namespace likeness {
namespace {

using namespace onnx_field;
using Field = WireField;

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

// Marks the nodes that lead to the tensors.
absl::StatusOr<std::vector<bool>> NeededNodes(const Graph& graph, std::span<const std::string> tensors) {
  std::unordered_map<std::string_view, size_t> maker;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    for (const std::string_view name : graph.nodes[i].outputs) maker.emplace(name, i);
  }
  std::vector<bool> needed(graph.nodes.size(), false);
  std::vector<size_t> pending;
  for (const std::string& tensor : tensors) {
    if (tensor.empty() || !maker.contains(tensor)) return NoSuchTensor(graph, tensor);
    pending.push_back(maker[tensor]);
  }
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
  const std::string name(tensor);
  return CutOnnxGraph(file, std::span(&name, 1));
}

absl::StatusOr<std::string> CutOnnxGraph(std::span<const std::byte> file, std::span<const std::string> tensors) {
  LIKENESS_ASSIGN_OR_RETURN(const ModelFile model, ReadModelFile(file));
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<bool> needed, NeededNodes(model.graph, tensors));
  std::string graph;
  graph.reserve(model.graph.body.size() + 256);
  size_t node = 0;
  std::unordered_map<std::string_view, std::string_view> declared;  // outputs as the file declares them, with types
  ForEachField(model.graph.body, [&](const Field& field) {
    if (field.number == kGraphNode && !needed[node++]) return;
    if (field.number == kGraphOutput) {
      declared.insert_or_assign(NameIn(field.body, kValueName), field.body);
      return;
    }
    graph.append(field.whole);
  });
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (std::ranges::find(tensors.first(i), tensors[i]) != tensors.begin() + static_cast<ptrdiff_t>(i)) continue;
    std::string value(declared[tensors[i]]);
    if (value.empty()) {
      AppendBytes(value, kValueName, tensors[i]);
      AppendBytes(value, kValueType, "\x0a\x02\x08\x01");  // tensor_type { elem_type: FLOAT }, of any shape
    }
    AppendBytes(graph, kGraphOutput, value);
  }
  std::string out;
  out.reserve(file.size() + 256);
  for (const Field& field : model.fields) out.append(field.whole);
  AppendBytes(out, kModelGraph, graph);
  return out;
}

}  // namespace likeness
