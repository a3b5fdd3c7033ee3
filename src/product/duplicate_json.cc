#include "product/duplicate_json.h"

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>

namespace likeness {
namespace {

using Json = nlohmann::ordered_json;

// Four decimals, so that texts are short and the same everywhere.
double Short(float value) { return std::isfinite(value) ? std::round(double{value} * 1e4) / 1e4 : 0; }

Json PolygonJson(const Polygon& polygon) {
  Json points = Json::array();
  for (const Point& p : polygon) points.push_back({std::round(p.x * 10) / 10, std::round(p.y * 10) / 10});
  return points;
}

std::string_view FormName(Dihedral form) {
  constexpr std::array<std::string_view, kDihedralForms> kNames = {
      "as_is", "rotate_90", "rotate_180", "rotate_270", "flip_rows", "flip_columns", "transpose", "anti_transpose"};
  return kNames[static_cast<size_t>(form)];
}

Json EvidenceJson(const DuplicateEvidence& evidence) {
  Json json;
  if (evidence.hash_distance) {
    json["hash"] = {{"distance", *evidence.hash_distance}, {"form", FormName(evidence.hash_form)}};
  }
  json["keypoints"] = {{"pairs", evidence.pairs},
                       {"inliers", evidence.inliers},
                       {"matched", Short(evidence.matched)},
                       {"spread", Short(evidence.spread)}};
  const PixelAgreement& pixels = evidence.pixels;
  json["pixels"] = {{"blocks", pixels.blocks},
                    {"agreeing", Short(pixels.agreeing)},
                    {"correlation", Short(pixels.correlation)},
                    {"block_correlation", Short(pixels.block_correlation)},
                    {"detail", Short(pixels.detail)},
                    {"toned", Short(pixels.toned)},
                    {"shown", Short(pixels.shown)},
                    {"lost", Short(pixels.lost)},
                    {"recolored", Short(pixels.recolored)},
                    {"displaced", Short(pixels.displaced)}};
  const Affine& t = evidence.transform;
  json["transform"] = {Short(t.a), Short(t.b), Short(t.left), Short(t.c), Short(t.d), Short(t.top)};
  json["mirrored"] = evidence.mirrored;
  json["turned"] = Short(evidence.turned);
  json["scale"] = Short(evidence.scale);
  json["query_region"] = PolygonJson(evidence.query_region);
  json["query_coverage"] = Short(evidence.query_coverage);
  json["region"] = PolygonJson(evidence.document_region);
  json["coverage"] = Short(evidence.document_coverage);
  return json;
}

std::string Object(const std::string& name, const Json& rest) {
  const std::string text = rest.dump(-1, ' ', false, Json::error_handler_t::replace);
  return name.empty() ? text : "{" + name + "," + text.substr(1);
}

}  // namespace

std::string DuplicateEvidenceJson(const DuplicateEvidence& evidence) { return EvidenceJson(evidence).dump(); }

std::string DuplicateMatchJson(const DuplicateMatch& match, const DocumentName& name) {
  return Object(name(match.document), {{"verdict", DuplicateVerdictName(match.verdict)},
                                       {"score", Short(match.score)},
                                       {"evidence", EvidenceJson(match.evidence)}});
}

std::string DuplicateClusterJson(const DuplicateCluster& cluster, const DocumentName& name) {
  std::string text = "{\"representative\":{" + name(cluster.representative) + "},\"members\":[";
  for (size_t i = 0; i < cluster.members.size(); ++i) {
    const DuplicateCluster::Member& member = cluster.members[i];
    if (i > 0) text += ',';
    text +=
        Object(name(member.document), {{"score", Short(member.score)}, {"evidence", EvidenceJson(member.evidence)}});
  }
  return text + "]}";
}

}  // namespace likeness
