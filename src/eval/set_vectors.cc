#include "eval/set_vectors.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <optional>
#include <system_error>
#include <utility>

#include "base/bytes.h"
#include "base/file.h"
#include "base/thread_pool.h"
#include "image/decode.h"
#include "kernel/half.h"
#include "store/safetensors.h"

namespace likeness {
namespace {

constexpr std::string_view kSignatures = "/signatures";
constexpr std::string_view kValues = "/values";

absl::StatusOr<Pixels> ReadPicture(const LabelledPicture& picture, const ImageLimits& limits, const DecodeSize& size) {
  LIKENESS_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(picture.path, limits.max_bytes));
  return DecodeImage(AsBytes(bytes), limits, size);
}

}  // namespace

void SetVectors::Drop(const std::vector<bool>& drop) {
  LIKENESS_CHECK(drop.size() == rows());
  size_t kept = 0;
  for (size_t i = 0; i < drop.size(); ++i) {
    if (drop[i]) continue;
    if (kept != i) {
      std::copy_n(values.begin() + static_cast<std::ptrdiff_t>(i * dimension), dimension,
                  values.begin() + static_cast<std::ptrdiff_t>(kept * dimension));
      unreadable[kept] = unreadable[i];
    }
    ++kept;
  }
  values.resize(kept * dimension);
  unreadable.resize(kept);
}

absl::StatusOr<VectorCache> VectorCache::Read(const std::filesystem::path& path) {
  VectorCache cache;
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return cache;
  LIKENESS_ASSIGN_OR_RETURN(const auto mapped, MappedFile::Open(path));
  auto file = Safetensors::Open(Blob(mapped, mapped->bytes()));
  if (!file.ok()) return Annotate(file.status(), path.string());
  LIKENESS_RETURN_IF_ERROR(file->VerifyChecksum());
  for (const Safetensors::Tensor& tensor : file->tensors()) {
    const std::string& name = tensor.spec.name;
    if (!name.ends_with(kSignatures)) continue;
    const std::string key = name.substr(0, name.size() - kSignatures.size());
    LIKENESS_ASSIGN_OR_RETURN(const auto signatures, file->Elements<uint8_t>(name, Dtype::kU8));
    LIKENESS_ASSIGN_OR_RETURN(const auto values, file->Elements<uint16_t>(key + std::string(kValues), Dtype::kF16));
    const size_t rows = signatures.size() / sizeof(Signature);
    if (rows == 0) continue;
    if (signatures.size() % sizeof(Signature) != 0 || values.size() % rows != 0) {
      return absl::DataLossError(path.string() + ": the tensors of " + key + " do not fit together");
    }
    const size_t dimension = values.size() / rows;
    auto& feature = cache.features_[key];
    for (size_t i = 0; i < rows; ++i) {
      Signature signature;
      std::memcpy(signature.bytes.data(), &signatures[i * sizeof(Signature)], sizeof(Signature));
      const auto row = values.subspan(i * dimension, dimension);
      feature.emplace_hint(feature.end(), signature, std::vector<uint16_t>(row.begin(), row.end()));
    }
  }
  return cache;
}

absl::Status VectorCache::Write(const std::filesystem::path& path) const {
  std::vector<std::vector<std::byte>> columns;
  std::vector<TensorSpec> specs;
  for (const auto& [key, rows] : features_) {
    if (rows.empty()) continue;
    const uint64_t dimension = rows.begin()->second.size();
    std::vector<std::byte> signatures, values;
    for (const auto& [signature, halves] : rows) {
      const auto bytes = std::as_bytes(std::span(halves));
      signatures.insert(signatures.end(), signature.bytes.begin(), signature.bytes.end());
      values.insert(values.end(), bytes.begin(), bytes.end());
    }
    specs.push_back({key + std::string(kSignatures), Dtype::kU8, {rows.size(), sizeof(Signature)}});
    columns.push_back(std::move(signatures));
    specs.push_back({key + std::string(kValues), Dtype::kF16, {rows.size(), dimension}});
    columns.push_back(std::move(values));
  }
  std::vector<TensorData> tensors;
  for (size_t i = 0; i < specs.size(); ++i) tensors.push_back({specs[i], columns[i]});
  LIKENESS_ASSIGN_OR_RETURN(const std::string file, WriteSafetensors(tensors, {{"kind", "likeness-eval-vectors"}}));
  return WriteFileAtomic(path, AsBytes(file));
}

std::span<const uint16_t> VectorCache::Find(const FeatureKey& key, const Signature& signature, size_t dimension) const {
  const auto feature = features_.find(key.ToString());
  if (feature == features_.end()) return {};
  const auto row = feature->second.find(signature);
  if (row == feature->second.end() || row->second.size() != dimension) return {};
  return row->second;
}

void VectorCache::Put(const FeatureKey& key, const Signature& signature, std::span<const uint16_t> halves) {
  auto& rows = features_[key.ToString()];
  LIKENESS_CHECK(rows.empty() || rows.begin()->second.size() == halves.size());
  rows[signature].assign(halves.begin(), halves.end());
}

absl::StatusOr<SetVectors> ComputeVectors(const LabelledSet& set, const PictureEncoder& encoder,
                                          const ImageLimits& limits, size_t threads, VectorCache* cache,
                                          const PictureProgress& progress) {
  const size_t count = set.pictures.size();
  SetVectors out;
  out.dimension = encoder.dimension();
  out.values.resize(count * out.dimension);
  out.unreadable.resize(count);
  std::vector<size_t> wanted;  // pictures that the cache does not know
  for (size_t i = 0; i < count; ++i) {
    const auto known = cache == nullptr ? std::span<const uint16_t>()
                                        : cache->Find(encoder.key(), set.pictures[i].signature, out.dimension);
    if (known.empty()) {
      wanted.push_back(i);
    } else {
      HalfToFloat(known, std::span(out.values).subspan(i * out.dimension, out.dimension));
    }
  }

  const size_t batch = std::max<size_t>(encoder.batch(), 1);
  const size_t batches = (wanted.size() + batch - 1) / batch;
  std::mutex mutex;  // guards all of `out`, `done` and `failure`, and the progress
  size_t done = count - wanted.size();
  absl::Status failure;
  if (progress) progress(done, count);
  ParallelFor(batches, threads, [&](size_t b) {
    {
      std::lock_guard lock(mutex);
      if (!failure.ok()) return;
    }
    const auto part = std::span(wanted).subspan(b * batch, std::min(batch, wanted.size() - b * batch));
    std::vector<Pixels> pictures;
    std::vector<size_t> rows;
    std::vector<std::pair<size_t, std::string>> bad;
    for (const size_t row : part) {
      auto pixels = ReadPicture(set.pictures[row], limits, encoder.decode_size());
      if (pixels.ok()) {
        pictures.push_back(*std::move(pixels));
        rows.push_back(row);
      } else {
        bad.emplace_back(row, MessageOf(pixels.status()));
      }
    }
    std::vector<float> vectors(pictures.size() * out.dimension);
    const absl::Status status = pictures.empty() ? absl::OkStatus() : encoder.Encode(pictures, vectors);
    std::vector<uint16_t> rounded(vectors.size());
    FloatToHalf(vectors, rounded);
    std::lock_guard lock(mutex);
    if (!status.ok()) failure.Update(status);
    for (size_t i = 0; i < rows.size() && status.ok(); ++i) {
      const auto row = std::span<const uint16_t>(rounded).subspan(i * out.dimension, out.dimension);
      HalfToFloat(row, std::span(out.values).subspan(rows[i] * out.dimension, out.dimension));
      if (cache != nullptr) cache->Put(encoder.key(), set.pictures[rows[i]].signature, row);
    }
    for (auto& [row, reason] : bad) {
      out.unreadable[row] = true;
      out.problems.push_back({set.pictures[row].path.string(), std::move(reason)});
    }
    done += part.size();
    if (progress) progress(done, count);
  });
  LIKENESS_RETURN_IF_ERROR(failure);
  std::ranges::sort(out.problems, {}, &LabelledSet::Problem::source);
  return out;
}

}  // namespace likeness
