#include "store/feature_shard.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "base/bytes.h"
#include "store/shard_metadata.h"

namespace likeness {
namespace {

constexpr size_t kBufferBytes = 64 << 10;

using nlohmann::json;

constexpr char kFormat[] = "likeness.feature-shard";
constexpr int kVersion = 1;
constexpr size_t kMaxReasonBytes = 500;
constexpr size_t kMaxReasons = 254;
constexpr std::string_view kOtherReason = "another reason: this shard has more than 254 distinct ones";

absl::Status Damaged(const std::string& reason) { return absl::DataLossError("feature shard: " + reason); }

// One image on its way into a sealed shard.
struct ShardRow {
  Signature signature;
  ImageSize size;
  std::string_view failure;  // empty when there is a value
  std::span<const std::byte> value;
};

// The reasons that a shard with these rows names, in the order of their codes 1, 2, ... The 254 that sort first of a
// whole are among the 254 that sort first of its parts, so cutting into parts changes nothing.
std::vector<std::string_view> ReasonTable(std::span<const ShardRow> rows) {
  std::set<std::string_view> distinct;
  for (const ShardRow& row : rows) {
    if (!row.failure.empty()) distinct.insert(row.failure);
  }
  const bool other = distinct.erase(kOtherReason) > 0 || distinct.size() > kMaxReasons;
  std::vector<std::string_view> table(distinct.begin(), distinct.end());
  if (table.size() > kMaxReasons) table.resize(kMaxReasons);
  if (other) table.push_back(kOtherReason);
  return table;
}

uint8_t StatusOf(const ShardRow& row, const std::vector<std::string_view>& reasons) {
  if (row.failure.empty()) return 0;
  const auto last = reasons.end() - (reasons.back() == kOtherReason ? 1 : 0);
  const auto found = std::lower_bound(reasons.begin(), last, row.failure);
  const bool named = found != last && *found == row.failure;
  return static_cast<uint8_t>((named ? found - reasons.begin() : static_cast<ptrdiff_t>(reasons.size()) - 1) + 1);
}

// Writes rows, sorted and distinct, to the writer that `open` makes. The one place that knows the layout.
absl::Status SealRows(const FeatureShardInfo& info, std::span<const ShardRow> rows, const SafetensorsOpener& open) {
  if (info.layout.dimension == 0) return absl::InvalidArgumentError("a feature shard's dimension cannot be 0");
  const uint64_t n = rows.size(), row_bytes = info.layout.dimension * DtypeSize(info.layout.dtype);
  const std::vector<std::string_view> reasons = ReasonTable(rows);
  uint64_t value_rows = n;
  std::vector<int64_t> offsets;
  if (info.layout.ragged) {
    offsets.push_back(0);
    for (const ShardRow& row : rows) {
      offsets.push_back(offsets.back() + static_cast<int64_t>(row.value.size() / row_bytes));
    }
    value_rows = static_cast<uint64_t>(offsets.back());
  }
  std::vector<TensorSpec> specs = {{"signatures", Dtype::kU8, {n, 16}},
                                   {"sizes", Dtype::kI32, {n, 2}},
                                   {"status", Dtype::kU8, {n}},
                                   {"values", info.layout.dtype, {value_rows, info.layout.dimension}}};
  if (info.layout.ragged) specs.push_back({"offsets", Dtype::kI64, {n + 1}});
  SafetensorsMetadata metadata = FormatShardMetadata(kFormat, kVersion, info.shard);
  metadata["feature_type"] = info.feature.type;
  metadata["feature_version"] = info.feature.version;
  metadata["reasons"] = json(reasons).dump();

  LIKENESS_ASSIGN_OR_RETURN(const auto out, open(std::move(specs), metadata));
  const std::string no_value(row_bytes, '\0');
  std::string buffer;  // rows are small: they are handed on many at once
  for (const TensorSpec& spec : out->order()) {
    const auto put = [&buffer](std::span<const std::byte> bytes) { buffer.append(AsText(bytes)); };
    const auto flush = [&] {
      const absl::Status appended = out->Append(spec.name, AsBytes(buffer));
      buffer.clear();
      return appended;
    };
    if (spec.name == "offsets") {
      LIKENESS_RETURN_IF_ERROR(out->Append(spec.name, std::as_bytes(std::span(offsets))));
      continue;
    }
    for (const ShardRow& row : rows) {
      if (spec.name == "signatures") {
        put(row.signature.bytes);
      } else if (spec.name == "sizes") {
        const int32_t sides[] = {row.size.width, row.size.height};
        put(std::as_bytes(std::span(sides)));
      } else if (spec.name == "status") {
        const uint8_t status[] = {StatusOf(row, reasons)};
        put(std::as_bytes(std::span(status)));
      } else if (spec.name == "values") {
        const bool blank = !info.layout.ragged && !row.failure.empty();
        put(blank ? AsBytes(no_value) : row.value);
      }
      if (buffer.size() >= kBufferBytes) LIKENESS_RETURN_IF_ERROR(flush());
    }
    LIKENESS_RETURN_IF_ERROR(flush());
  }
  return out->Seal();
}

SafetensorsOpener IntoString(std::string& out) {
  return [&out](std::vector<TensorSpec> specs, const SafetensorsMetadata& metadata) {
    return SafetensorsWriter::ToString(out, std::move(specs), metadata);
  };
}

SafetensorsOpener IntoFile(const std::filesystem::path& path) {
  return [path](std::vector<TensorSpec> specs, const SafetensorsMetadata& metadata) {
    return SafetensorsWriter::ToFile(path, std::move(specs), metadata);
  };
}

// The rows of all parts, sorted, each image once.
absl::StatusOr<std::vector<ShardRow>> MergeRows(std::span<const FeatureShard> parts) {
  if (parts.empty()) return absl::InvalidArgumentError("there are no parts to join");
  std::vector<const FeatureShard*> order;
  size_t most = 0;
  for (const FeatureShard& part : parts) {
    order.push_back(&part);
    most += part.size();
  }
  std::ranges::sort(
      order, {}, [](const FeatureShard* part) { return part->size() == 0 ? Signature() : part->signatures().front(); });
  std::vector<ShardRow> rows;
  rows.reserve(most);
  for (const FeatureShard* one : order) {
    const FeatureShard& part = *one;
    if (part.info() != parts[0].info()) return absl::InvalidArgumentError("the parts to join are not of one cell");
    for (size_t i = 0; i < part.size(); ++i) {
      rows.push_back({part.signatures()[i], part.image_size(i), part.failure(i),
                      part.has_value(i) ? part.value(i) : std::span<const std::byte>()});
    }
  }
  const auto before = [](const ShardRow& a, const ShardRow& b) {
    const auto known = std::tie(a.signature, a.failure) <=> std::tie(b.signature, b.failure);
    return known != 0 ? known < 0 : std::ranges::lexicographical_compare(a.value, b.value);
  };
  // Parts are sorted within, and mostly hold ranges of their own.
  if (!std::ranges::is_sorted(rows, before)) std::ranges::sort(rows, before);
  const auto doubles = std::ranges::unique(rows, {}, &ShardRow::signature);
  rows.erase(doubles.begin(), doubles.end());
  return rows;
}

}  // namespace

FeatureShardWriter::FeatureShardWriter(FeatureShardInfo info) : info_(std::move(info)) {}

absl::Status FeatureShardWriter::Take(const Row& row) {
  if (!seen_.insert(row.signature).second) {
    return absl::InvalidArgumentError("image " + row.signature.Hex() + " was added to the shard already");
  }
  rows_.push_back(row);
  return absl::OkStatus();
}

absl::Status FeatureShardWriter::Add(const Signature& signature, ImageSize size, std::span<const std::byte> value) {
  const uint64_t row_bytes = info_.layout.dimension * DtypeSize(info_.layout.dtype);
  if (row_bytes == 0 || value.size() % row_bytes != 0 || (!info_.layout.ragged && value.size() != row_bytes)) {
    return absl::InvalidArgumentError("the value of image " + signature.Hex() + " has " + std::to_string(value.size()) +
                                      " bytes, a row has " + std::to_string(row_bytes));
  }
  LIKENESS_RETURN_IF_ERROR(Take({signature, size, values_.size(), value.size(), std::nullopt}));
  values_.append(AsText(value));
  return absl::OkStatus();
}

absl::Status FeatureShardWriter::AddFailure(const Signature& signature, std::string_view reason) {
  // A library's message may be any bytes; what is kept is text, so that reading and writing again changes nothing.
  std::string text =
      json::parse(json(std::string(reason.empty() ? "unknown reason" : reason.substr(0, kMaxReasonBytes)))
                      .dump(-1, ' ', false, json::error_handler_t::replace));
  const auto [place, fresh] = reason_of_.emplace(text, static_cast<uint32_t>(reasons_.size()));
  if (fresh) reasons_.push_back(std::move(text));
  return Take({signature, {}, 0, 0, place->second});
}

absl::Status FeatureShardWriter::SealTo(const SafetensorsOpener& open) {
  std::vector<ShardRow> rows;
  rows.reserve(rows_.size());
  for (const Row& row : rows_) {
    rows.push_back({row.signature, row.size, row.reason ? std::string_view(reasons_[*row.reason]) : std::string_view(),
                    AsBytes(values_).subspan(row.offset, row.bytes)});
  }
  std::ranges::sort(rows, {}, &ShardRow::signature);
  return SealRows(info_, rows, open);
}

absl::StatusOr<std::string> FeatureShardWriter::Seal() {
  std::string out;
  LIKENESS_RETURN_IF_ERROR(SealTo(IntoString(out)));
  return out;
}

absl::Status FeatureShardWriter::SealToFile(const std::filesystem::path& path) { return SealTo(IntoFile(path)); }

absl::StatusOr<FeatureShard> FeatureShard::Open(Blob blob) {
  LIKENESS_ASSIGN_OR_RETURN(Safetensors file, Safetensors::Open(std::move(blob)));
  FeatureShard shard(std::move(file));
  const Safetensors& f = shard.file_;
  LIKENESS_ASSIGN_OR_RETURN(shard.info_.shard, ParseShardMetadata(f, kFormat, kVersion));
  LIKENESS_ASSIGN_OR_RETURN(const std::string type, f.Metadata("feature_type"));
  LIKENESS_ASSIGN_OR_RETURN(const std::string version, f.Metadata("feature_version"));
  const std::optional<FeatureKey> key = FeatureKey::Parse(type + "/" + version);
  if (!key || key->type != type) return Damaged("'feature_type' and 'feature_version' are no feature key");
  shard.info_.feature = *key;

  LIKENESS_ASSIGN_OR_RETURN(shard.signatures_, ReadSignatures(f));
  const size_t n = shard.signatures_.size();
  const Safetensors::Tensor* values = f.Find("values");
  if (values == nullptr || values->spec.shape.size() != 2) return Damaged("there is no 'values' [rows, dimension]");
  const uint64_t value_rows = values->spec.shape[0], dimension = values->spec.shape[1];
  if (dimension == 0 || dimension > UINT32_MAX) return Damaged("'values' have no proper dimension");
  if (reinterpret_cast<uintptr_t>(values->bytes.data()) % DtypeSize(values->spec.dtype) != 0) {
    return Damaged("'values' are not aligned");
  }
  shard.values_ = values->bytes;
  shard.info_.layout.dtype = values->spec.dtype;
  shard.info_.layout.dimension = static_cast<uint32_t>(dimension);

  LIKENESS_ASSIGN_OR_RETURN(shard.status_, f.Elements<uint8_t>("status", Dtype::kU8));
  LIKENESS_ASSIGN_OR_RETURN(const std::string reasons, f.Metadata("reasons"));
  const json table = json::parse(reasons, nullptr, /*allow_exceptions=*/false);
  if (!table.is_array() || table.size() > kMaxReasons + 1) return Damaged("'reasons' are not a list of at most 255");
  for (const json& reason : table) {
    if (!reason.is_string() || reason.get_ref<const std::string&>().empty()) return Damaged("a reason is not a text");
    shard.reasons_.push_back(reason.get<std::string>());
  }
  if (f.Find("status")->spec.shape.size() != 1 || shard.status_.size() != n) return Damaged("'status' is not [n]");
  if (std::ranges::any_of(shard.status_, [&](uint8_t status) { return status > shard.reasons_.size(); })) {
    return Damaged("a status has no reason");
  }
  size_t known = 3;
  if (f.Find("sizes") != nullptr) {
    LIKENESS_ASSIGN_OR_RETURN(shard.sizes_, f.Elements<int32_t>("sizes", Dtype::kI32));
    if (f.Find("sizes")->spec.shape != std::vector<uint64_t>{n, 2}) return Damaged("'sizes' are not [n, 2]");
    if (std::ranges::any_of(shard.sizes_, [](int32_t pixels) { return pixels < 0; })) return Damaged("a negative size");
    ++known;
  }
  shard.info_.layout.ragged = f.Find("offsets") != nullptr;
  if (shard.info_.layout.ragged) {
    LIKENESS_ASSIGN_OR_RETURN(shard.offsets_, f.Elements<int64_t>("offsets", Dtype::kI64));
    const std::span<const int64_t> offsets = shard.offsets_;
    if (f.Find("offsets")->spec.shape.size() != 1 || offsets.size() != n + 1)
      return Damaged("'offsets' is not [n + 1]");
    if (offsets[0] != 0 || !std::ranges::is_sorted(offsets) || static_cast<uint64_t>(offsets[n]) != value_rows) {
      return Damaged("'offsets' do not cut 'values' into rows");
    }
    for (size_t i = 0; i < n; ++i) {
      if (shard.status_[i] != 0 && offsets[i] != offsets[i + 1]) return Damaged("a failed image has a value");
    }
    ++known;
  } else if (value_rows != n) {
    return Damaged("'values' have not one row an image");
  }
  if (f.tensors().size() != known) return Damaged("there is a tensor that is not of this format");
  return shard;
}

std::optional<size_t> FeatureShard::Find(const Signature& signature) const {
  const auto found = std::ranges::lower_bound(signatures_, signature);
  if (found == signatures_.end() || *found != signature) return std::nullopt;
  return static_cast<size_t>(found - signatures_.begin());
}

std::string_view FeatureShard::failure(size_t i) const {
  return status_[i] == 0 ? std::string_view() : std::string_view(reasons_[status_[i] - 1]);
}

std::span<const std::byte> FeatureShard::value(size_t i) const {
  const size_t row_bytes = info_.layout.dimension * DtypeSize(info_.layout.dtype);
  const size_t begin = info_.layout.ragged ? static_cast<size_t>(offsets_[i]) : i;
  const size_t end = info_.layout.ragged ? static_cast<size_t>(offsets_[i + 1]) : i + 1;
  return values_.subspan(begin * row_bytes, (end - begin) * row_bytes);
}

absl::StatusOr<std::string> MergeFeatureShards(std::span<const FeatureShard> parts) {
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<ShardRow> rows, MergeRows(parts));
  std::string out;
  LIKENESS_RETURN_IF_ERROR(SealRows(parts[0].info(), rows, IntoString(out)));
  return out;
}

absl::Status MergeFeatureShardsToFile(std::span<const FeatureShard> parts, const std::filesystem::path& path) {
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<ShardRow> rows, MergeRows(parts));
  return SealRows(parts[0].info(), rows, IntoFile(path));
}

}  // namespace likeness
