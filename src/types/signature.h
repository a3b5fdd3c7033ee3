// The identity of an image, for ever and everywhere: the MD5 of its original bytes.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace likeness {

// A value of 16 bytes, ordered as bytes are. Written as 32 lower-case hexadecimal digits.
struct Signature {
  std::array<std::byte, 16> bytes{};

  static Signature Of(std::span<const std::byte> original) {
    Signature signature;
    Md5(original, signature.bytes);
    return signature;
  }
  // Nothing unless `digits` are exactly 32 hexadecimal digits, of either case.
  static std::optional<Signature> Parse(std::string_view digits) {
    Signature signature;
    if (!HexDecode(digits, signature.bytes)) return std::nullopt;
    return signature;
  }
  std::string Hex() const { return HexEncode(bytes); }

  friend auto operator<=>(const Signature&, const Signature&) = default;
};

// For unordered containers: an MD5 is its own hash.
struct SignatureHash {
  size_t operator()(const Signature& signature) const {
    size_t hash;
    std::memcpy(&hash, signature.bytes.data(), sizeof(hash));
    return hash;
  }
};

}  // namespace likeness
