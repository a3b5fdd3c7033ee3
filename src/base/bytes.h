// Bytes as text and back: hexadecimal, and views between `char` and `std::byte`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace likeness {

inline std::span<const std::byte> AsBytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

inline std::string_view AsText(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Lower case, two digits a byte.
std::string HexEncode(std::span<const std::byte> bytes);

// Fills `out` from exactly `2 * out.size()` digits of either case; false on anything else.
bool HexDecode(std::string_view digits, std::span<std::byte> out);

// XXH3, 64 bits: the checksum of our own file formats. Not for adversaries: a signature is MD5, and files of ours are
// trusted as far as the disk is.
uint64_t Checksum(std::span<const std::byte> bytes);

// MD5 of `bytes` as 16 bytes; SHA-256 as 64 hexadecimal digits.
void Md5(std::span<const std::byte> bytes, std::span<std::byte, 16> out);
std::string Sha256Hex(std::span<const std::byte> bytes);

}  // namespace likeness
