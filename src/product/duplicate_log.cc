#include "product/duplicate_log.h"

#include <fcntl.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/file.h"

namespace likeness {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kHead = "likeness.duplicates ";
constexpr int kVersion = 1;
constexpr size_t kSignatureDigits = 32, kCheckDigits = 16;

// A list of numbers to fields and back, in one order.
template <typename Number>
struct Fields {
  std::vector<Number*> all;
  Json Write() const {
    Json list = Json::array();
    for (const Number* one : all) list.push_back(*one);
    return list;
  }
  bool Read(const Json& list) const {
    if (!list.is_array() || list.size() != all.size()) return false;
    for (size_t i = 0; i < all.size(); ++i) {
      if (!list[i].is_number()) return false;
      *all[i] = list[i].get<Number>();
    }
    return true;
  }
};

Fields<float> Of(Affine& t) { return {{&t.a, &t.b, &t.left, &t.c, &t.d, &t.top}}; }

// All figures of the evidence but those that are not always there.
Fields<float> FiguresOf(DuplicateEvidence& e) {
  PixelAgreement& p = e.pixels;
  return {{&e.query_coverage, &e.document_coverage, &e.turned, &e.scale, &e.spread, &e.matched, &p.correlation,
           &p.agreeing, &p.block_correlation, &p.detail, &p.toned, &p.shown, &p.lost, &p.recolored, &p.displaced,
           &p.color_difference, &p.contrast}};
}

Fields<size_t> CountsOf(DuplicateEvidence& e) { return {{&e.pairs, &e.inliers, &e.pixels.blocks}}; }

Json Write(const Polygon& polygon) {
  Json list = Json::array();
  for (const Point& point : polygon) {
    list.push_back(point.x);
    list.push_back(point.y);
  }
  return list;
}

bool Read(const Json& list, Polygon& polygon) {
  if (!list.is_array() || list.size() % 2 != 0) return false;
  for (size_t i = 0; i < list.size(); i += 2) {
    if (!list[i].is_number() || !list[i + 1].is_number()) return false;
    polygon.push_back({list[i].get<float>(), list[i + 1].get<float>()});
  }
  return true;
}

Json Write(DuplicateLog::Found found) {
  DuplicateEvidence& e = found.evidence;
  Json json = {{"image", found.image.Hex()},
               {"score", found.score},
               {"mirrored", e.mirrored},
               {"counts", CountsOf(e).Write()},
               {"figures", FiguresOf(e).Write()},
               {"transform", Of(e.transform).Write()},
               {"frames", Of(e.pixels.transform).Write()},
               {"query_region", Write(e.query_region)},
               {"region", Write(e.document_region)}};
  if (e.hash_distance) json["hash"] = {*e.hash_distance, static_cast<uint32_t>(e.hash_form)};
  return json;
}

std::optional<DuplicateLog::Found> Read(const Json& json) {
  if (!json.is_object()) return std::nullopt;
  const auto member = [&](const char* name) { return json.value(name, Json()); };
  DuplicateLog::Found found;
  const Json image = member("image"), score = member("score"), mirrored = member("mirrored");
  if (!image.is_string() || !score.is_number() || !mirrored.is_boolean()) return std::nullopt;
  const auto signature = Signature::Parse(image.get_ref<const std::string&>());
  if (!signature) return std::nullopt;
  DuplicateEvidence& e = found.evidence;
  found.image = *signature;
  found.score = score.get<float>();
  e.mirrored = mirrored.get<bool>();
  if (const Json hash = member("hash"); !hash.is_null()) {
    uint32_t distance = 0, form = 0;
    if (!Fields<uint32_t>{{&distance, &form}}.Read(hash) || form >= kDihedralForms) return std::nullopt;
    e.hash_distance = distance;
    e.hash_form = static_cast<Dihedral>(form);
  }
  const bool whole = CountsOf(e).Read(member("counts")) && FiguresOf(e).Read(member("figures")) &&
                     Of(e.transform).Read(member("transform")) && Of(e.pixels.transform).Read(member("frames")) &&
                     Read(member("query_region"), e.query_region) && Read(member("region"), e.document_region);
  return whole ? std::optional(std::move(found)) : std::nullopt;
}

std::string Check(const std::string& text) {
  char digits[kCheckDigits + 1];
  std::snprintf(digits, sizeof(digits), "%016llx", static_cast<unsigned long long>(Checksum(AsBytes(text))));
  return digits;
}

std::string Line(const Signature& asked, const std::vector<DuplicateLog::Found>& found) {
  std::string text = asked.Hex();
  if (!found.empty()) {
    Json list = Json::array();
    for (const DuplicateLog::Found& one : found) list.push_back(Write(one));
    text += ' ' + list.dump();
  }
  return Check(text) + ' ' + text + '\n';
}

// SIGNATURE, and what was found where that is anything; nothing where the line is damaged.
std::optional<std::pair<Signature, std::vector<DuplicateLog::Found>>> ReadLine(std::string_view line) {
  if (line.size() < kCheckDigits + 1 + kSignatureDigits) return std::nullopt;
  const std::string text(line.substr(kCheckDigits + 1));
  if (line.substr(0, kCheckDigits) != Check(text)) return std::nullopt;
  const auto asked = Signature::Parse(text.substr(0, kSignatureDigits));
  if (!asked) return std::nullopt;
  std::pair<Signature, std::vector<DuplicateLog::Found>> entry{*asked, {}};
  if (text.size() == kSignatureDigits) return entry;
  const Json list = Json::parse(text.substr(kSignatureDigits), nullptr, /*allow_exceptions=*/false);
  if (!list.is_array()) return std::nullopt;
  for (const Json& one : list) {
    auto found = Read(one);
    if (!found) return std::nullopt;
    entry.second.push_back(*std::move(found));
  }
  return entry;
}

}  // namespace

absl::StatusOr<std::unique_ptr<DuplicateLog>> DuplicateLog::Open(const std::filesystem::path& folder,
                                                                 const std::string& rules) {
  std::unique_ptr<DuplicateLog> log(new DuplicateLog());
  log->path_ = folder / (rules + ".log");
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  const absl::StatusOr<std::string> text = ReadFile(log->path_);
  if (!text.ok() && !absl::IsNotFound(text.status())) return text.status();
  const std::string head = std::string(kHead) + std::to_string(kVersion) + '\n';
  const std::string_view known = text.ok() ? std::string_view(*text) : std::string_view();
  const size_t first = known.find('\n');
  const bool ours = first != std::string_view::npos && known.substr(0, first + 1) == head;
  if (!ours && known.starts_with(kHead) && first != std::string_view::npos) {
    return absl::UnimplementedError(log->path_.string() + " was made by a newer version of the program");
  }
  log->file_ =
      Descriptor(::open(log->path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (ours ? 0 : O_TRUNC), 0644));
  if (log->file_.get() < 0) return ErrnoStatus(errno, "cannot open " + log->path_.string());
  if (!ours) {
    LIKENESS_RETURN_IF_ERROR(WriteAll(log->file_.get(), AsBytes(head), "cannot write " + log->path_.string()));
    return log;
  }
  for (size_t at = first + 1; at < known.size();) {
    const size_t end = std::min(known.find('\n', at), known.size());
    if (auto entry = ReadLine(known.substr(at, end - at)))
      log->asked_.insert_or_assign(entry->first, std::move(entry->second));
    at = end + 1;
  }
  // A line that was cut off ends here.
  if (known.back() != '\n') {
    LIKENESS_RETURN_IF_ERROR(WriteAll(log->file_.get(), AsBytes("\n"), "cannot write " + log->path_.string()));
  }
  return log;
}

absl::Status DuplicateLog::Add(const Signature& asked, std::vector<Found> found) {
  LIKENESS_RETURN_IF_ERROR(written_);
  const std::string line = Line(asked, found);
  written_ = WriteAll(file_.get(), AsBytes(line), "cannot write " + path_.string());
  if (written_.ok()) asked_.insert_or_assign(asked, std::move(found));
  return written_;
}

}  // namespace likeness
