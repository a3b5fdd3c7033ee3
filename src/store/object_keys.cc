#include "store/object_keys.h"

#include <algorithm>
#include <charconv>
#include <vector>

namespace likeness {
namespace {

constexpr std::string_view kPart = ".part";
constexpr std::string_view kSst = ".sst";
constexpr std::string_view kMetadata = "metadata-";

std::vector<std::string_view> Split(std::string_view key) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t slash = key.find('/');
    parts.push_back(key.substr(0, slash));
    if (slash == std::string_view::npos) return parts;
    key.remove_prefix(slash + 1);
  }
}

std::optional<uint32_t> ParseDigits(std::string_view digits) {
  uint32_t value = 0;
  const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || stop != digits.data() + digits.size()) return std::nullopt;
  return value;
}

std::optional<ShardId> ParseShard(std::string_view date, std::string_view number) {
  const std::optional<Epoch> epoch = Epoch::Parse(date);
  const std::optional<uint32_t> shard = ParseDigits(number);
  if (!epoch || !shard) return std::nullopt;
  return ShardId{*epoch, *shard};
}

// Takes a key apart loosely; Parse then holds the result against the key.
std::optional<ObjectKey> Guess(std::string_view text) {
  using Kind = ObjectKey::Kind;
  ObjectKey key;
  if (text == kCurrentKey) return key;
  const std::vector<std::string_view> parts = Split(text);
  const auto shard = [&](size_t at, std::string_view number) {
    const std::optional<ShardId> id = ParseShard(parts[at], number);
    if (id) key.shard = *id;
    return id.has_value();
  };
  const auto feature = [&](size_t at) {
    const auto parsed = FeatureKey::Parse(std::string(parts[at]) + "/" + std::string(parts[at + 1]));
    if (parsed) key.feature = *parsed;
    return parsed.has_value();
  };
  const auto release = [&](size_t at) {
    key.release = parts[at];
    return IsReleaseName(key.release);
  };
  const std::string_view root = parts[0];
  if (root == "images" && parts.size() == 3) {
    key.kind = Kind::kImage;
    const std::optional<Signature> signature = Signature::Parse(parts[2]);
    if (!signature) return std::nullopt;
    key.signature = *signature;
  } else if (root == "epochs" && parts.size() == 3) {
    key.kind = Kind::kEpochList;
    if (!shard(1, parts[2])) return std::nullopt;
  } else if (root == "features" && parts.size() == 5) {
    const size_t dot = parts[4].find(kPart);
    key.kind = dot == std::string_view::npos ? Kind::kFeatureShard : Kind::kFeaturePart;
    if (!feature(1) || !shard(3, parts[4].substr(0, dot))) return std::nullopt;
    if (key.kind == Kind::kFeaturePart) {
      const std::optional<uint32_t> part = ParseDigits(parts[4].substr(dot + kPart.size()));
      if (!part) return std::nullopt;
      key.part = *part;
    }
  } else if (root == "fingerprints" && parts.size() == 4 && parts[3].ends_with(kSst)) {
    key.kind = Kind::kFingerprints;
    if (!release(1) || !shard(2, parts[3].substr(0, parts[3].size() - kSst.size()))) return std::nullopt;
  } else if (root == "indexes" && parts.size() == 5) {
    key.kind = parts[4] == "tokens" ? Kind::kTokens : Kind::kSegment;
    if (!release(1) || !shard(2, parts[3])) return std::nullopt;
    if (parts[4].starts_with(kMetadata)) {
      key.kind = Kind::kMetadata;
      key.feature.version = parts[4].substr(kMetadata.size());
    }
  } else if (root == "releases" && parts.size() == 2) {
    key.kind = Kind::kRelease;
    if (!release(1)) return std::nullopt;
  } else if (root == "young" && parts.size() == 2) {
    key.kind = Kind::kYoung;
    if (!release(1)) return std::nullopt;
  } else if (root == "binarizers" && parts.size() == 3) {
    key.kind = Kind::kBinarizer;
    if (!feature(1)) return std::nullopt;
  } else {
    return std::nullopt;
  }
  return key;
}

}  // namespace

std::string ImageKey(const Signature& signature) {
  const std::string hex = signature.Hex();
  return "images/" + hex.substr(0, 2) + "/" + hex;
}

std::string EpochListKey(const ShardId& shard) { return "epochs/" + shard.ToString(); }

std::string FeaturePrefix(const FeatureKey& feature) { return "features/" + feature.ToString() + "/"; }

std::string FeatureShardKey(const FeatureKey& feature, const ShardId& shard) {
  return FeaturePrefix(feature) + shard.ToString();
}

std::string FeaturePartPrefix(const FeatureKey& feature, const ShardId& shard) {
  return FeatureShardKey(feature, shard) + std::string(kPart);
}

std::string FeaturePartKey(const FeatureKey& feature, const ShardId& shard, uint32_t part) {
  return FeaturePartPrefix(feature, shard) + std::to_string(part);
}

std::string FingerprintKey(std::string_view generation, const ShardId& shard) {
  return "fingerprints/" + std::string(generation) + "/" + shard.ToString() + std::string(kSst);
}

std::string SegmentKey(std::string_view generation, const ShardId& shard) {
  return "indexes/" + std::string(generation) + "/" + shard.ToString() + "/segment";
}

std::string MetadataKey(std::string_view generation, const ShardId& shard, std::string_view digest) {
  return "indexes/" + std::string(generation) + "/" + shard.ToString() + "/" + std::string(kMetadata) +
         std::string(digest);
}

std::string TokensKey(std::string_view generation, const ShardId& shard) {
  return "indexes/" + std::string(generation) + "/" + shard.ToString() + "/tokens";
}

std::string ReleaseKey(std::string_view release) { return std::string(kReleasePrefix) + std::string(release); }

std::string YoungKey(std::string_view name) { return std::string(kYoungPrefix) + std::string(name); }

std::string BinarizerKey(std::string_view feature_type, std::string_view digest) {
  return "binarizers/" + std::string(feature_type) + "/" + std::string(digest);
}

bool IsReleaseName(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= 100 && letter(name[0]) &&
         std::ranges::all_of(name, [&](char c) { return letter(c) || c == '.' || c == '_' || c == '-'; });
}

std::optional<ObjectKey> ObjectKey::Parse(std::string_view text) {
  std::optional<ObjectKey> key = Guess(text);
  if (key && key->ToString() != text) return std::nullopt;
  return key;
}

std::string ObjectKey::ToString() const {
  switch (kind) {
    case Kind::kImage:
      return ImageKey(signature);
    case Kind::kEpochList:
      return EpochListKey(shard);
    case Kind::kFeatureShard:
      return FeatureShardKey(feature, shard);
    case Kind::kFeaturePart:
      return FeaturePartKey(feature, shard, part);
    case Kind::kFingerprints:
      return FingerprintKey(release, shard);
    case Kind::kSegment:
      return SegmentKey(release, shard);
    case Kind::kMetadata:
      return MetadataKey(release, shard, feature.version);
    case Kind::kTokens:
      return TokensKey(release, shard);
    case Kind::kRelease:
      return ReleaseKey(release);
    case Kind::kBinarizer:
      return BinarizerKey(feature.type, feature.version);
    case Kind::kYoung:
      return YoungKey(release);
    case Kind::kCurrent:
      break;
  }
  return std::string(kCurrentKey);
}

}  // namespace likeness
