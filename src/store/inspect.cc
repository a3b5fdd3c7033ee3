#include "store/inspect.h"

#include <cstdlib>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/bytes.h"
#include "base/file.h"
#include "store/epoch_list.h"
#include "store/feature_shard.h"
#include "store/fingerprint_file.h"
#include "store/release.h"
#include "store/safetensors.h"
#include "store/young_batch.h"

namespace likeness {
namespace {

using nlohmann::ordered_json;

constexpr uint64_t kSstMagic = 0x88e241b785f4cff7;

std::string Dump(const ordered_json& object) {
  return object.dump(1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

uint64_t ReadU64(std::span<const std::byte> bytes, size_t offset) {
  uint64_t value = 0;
  std::memcpy(&value, bytes.data() + offset, sizeof(value));
  return value;
}

absl::StatusOr<std::string> InspectSafetensors(const Blob& blob) {
  LIKENESS_ASSIGN_OR_RETURN(const Safetensors file, Safetensors::Open(blob));
  ordered_json object = {{"format", "safetensors"}, {"format_version", nullptr}, {"bytes", blob.size()}};
  const auto& metadata = file.metadata();
  const auto format = metadata.find("format");
  if (metadata.contains("checksum")) {
    LIKENESS_RETURN_IF_ERROR(file.VerifyChecksum());
    object["checksum"] = "ok";
  } else {
    object["checksum"] = "none";
  }
  if (format != metadata.end() && format->second == "likeness.feature-shard") {
    LIKENESS_ASSIGN_OR_RETURN(const FeatureShard shard, FeatureShard::Open(blob));
    std::map<std::string, uint64_t> failures;
    for (size_t i = 0; i < shard.size(); ++i) {
      if (!shard.has_value(i)) ++failures[std::string(shard.failure(i))];
    }
    object["format"] = format->second;
    object["format_version"] = std::stoi(metadata.at("format_version"));
    object["feature"] = shard.info().feature.ToString();
    object["shard"] = shard.info().shard.ToString();
    object["dimension"] = shard.info().layout.dimension;
    object["ragged"] = shard.info().layout.ragged;
    object["images"] = shard.size();
    object["failures"] = failures;
  } else if (format != metadata.end() && format->second == "likeness.epoch-list") {
    LIKENESS_ASSIGN_OR_RETURN(const EpochList list, EpochList::Open(blob));
    object["format"] = format->second;
    object["format_version"] = std::stoi(metadata.at("format_version"));
    object["shard"] = list.shard().ToString();
    object["images"] = list.signatures().size();
  } else if (format != metadata.end() && format->second.starts_with("likeness.")) {
    // Of a room that this one does not see (a vocabulary): metadata and tensors say what it is.
    object["format"] = format->second;
    const auto version = metadata.find("format_version");
    if (version != metadata.end()) object["format_version"] = std::atoi(version->second.c_str());
  }
  object["metadata"] = metadata;
  object["tensors"] = ordered_json::array();
  for (const Safetensors::Tensor& tensor : file.tensors()) {
    object["tensors"].push_back({{"name", tensor.spec.name},
                                 {"dtype", std::string(DtypeName(tensor.spec.dtype))},
                                 {"shape", tensor.spec.shape},
                                 {"bytes", tensor.bytes.size()}});
  }
  return Dump(object);
}

absl::StatusOr<std::string> InspectFingerprints(const std::filesystem::path& path, size_t bytes) {
  LIKENESS_ASSIGN_OR_RETURN(const auto file, FingerprintFile::Open(path));
  LIKENESS_RETURN_IF_ERROR(file->VerifyChecksum());
  struct Seen {
    uint64_t images = 0;
    std::set<size_t> code_bits, dimensions;
  };
  std::map<std::string, Seen> features;
  std::string first, last;
  uint64_t count = 0;
  LIKENESS_RETURN_IF_ERROR(file->ForEach([&](const Fingerprint& fingerprint) {
    last = fingerprint.signature.Hex();
    if (count++ == 0) first = last;
    for (const Fingerprint::Deep& deep : fingerprint.deep) {
      Seen& seen = features[deep.key.ToString()];
      ++seen.images;
      seen.code_bits.insert(deep.value.code.size() * 64);
      seen.dimensions.insert(deep.value.vector.size());
    }
    return absl::OkStatus();
  }));
  if (count != file->size()) return absl::DataLossError(path.string() + ": fewer fingerprints than it says");
  ordered_json object = {{"format", "likeness.fingerprints"},
                         {"format_version", std::stoi(file->Properties().at("likeness.format_version"))},
                         {"bytes", bytes},
                         {"checksum", "ok"},
                         {"shard", file->shard().ToString()},
                         {"images", count},
                         {"first", first},
                         {"last", last},
                         {"features", ordered_json::array()},
                         {"properties", file->Properties()}};
  for (const auto& [key, seen] : features) {
    object["features"].push_back(
        {{"feature", key}, {"images", seen.images}, {"code_bits", seen.code_bits}, {"dimensions", seen.dimensions}});
  }
  return Dump(object);
}

absl::StatusOr<std::string> InspectYoung(const Blob& blob) {
  LIKENESS_ASSIGN_OR_RETURN(const YoungBatch batch, OpenYoungBatch(blob));
  ordered_json object = {{"format", "likeness.young"},
                         {"format_version", 1},
                         {"bytes", blob.size()},
                         {"checksum", "ok"},
                         {"images", batch.Signatures().size()},
                         {"features", ordered_json::array()}};
  for (const FeatureShard& shard : batch.features) {
    size_t values = 0;
    for (size_t i = 0; i < shard.size(); ++i) values += shard.has_value(i) ? 1 : 0;
    object["features"].push_back(
        {{"feature", shard.info().feature.ToString()}, {"images", shard.size()}, {"values", values}});
  }
  return Dump(object);
}

}  // namespace

absl::StatusOr<std::string> InspectFile(const std::filesystem::path& path) {
  LIKENESS_ASSIGN_OR_RETURN(const auto mapped, MappedFile::Open(path));
  const Blob blob(mapped, mapped->bytes());
  const std::span<const std::byte> bytes = blob.bytes();
  const auto described = [&]() -> absl::StatusOr<std::string> {
    if (bytes.size() >= 8 && ReadU64(bytes, bytes.size() - 8) == kSstMagic) {
      return InspectFingerprints(path, bytes.size());
    }
    if (bytes.size() > 8 && bytes[8] == std::byte{'{'} && ReadU64(bytes, 0) <= Safetensors::kMaxHeader) {
      return InspectSafetensors(blob);
    }
    if (AsText(bytes).starts_with(kYoungMagic)) return InspectYoung(blob);
    if (AsText(bytes).starts_with('{')) {
      if (AsText(bytes).substr(0, 200).find("\"likeness.current\"") != std::string_view::npos) {
        LIKENESS_ASSIGN_OR_RETURN(const CurrentRelease current, ParseCurrent(AsText(bytes)));
        return Dump(ordered_json::parse(FormatCurrent(current)));
      }
      LIKENESS_ASSIGN_OR_RETURN(const Release release, ParseRelease(AsText(bytes)));
      ordered_json object = ordered_json::parse(*FormatRelease(release));
      object["images"] = release.images();
      return Dump(object);
    }
    return absl::UnimplementedError("neither safetensors, nor fingerprints, nor a young batch, nor a release");
  }();
  return described.ok() ? described : Annotate(described.status(), path.string());
}

}  // namespace likeness
