#include "infer/wire.h"

#include <bit>
#include <cstring>

namespace likeness {

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

std::optional<WireField> TakeField(std::string_view& rest) {
  const std::string_view before = rest;
  const auto key = TakeVarint(rest);
  if (!key || *key >> 3 == 0 || *key >> 3 > 0x1fffffff) return std::nullopt;
  WireField field;
  field.number = static_cast<uint32_t>(*key >> 3);
  size_t size = 0;
  switch (*key & 7) {
    case 0: {
      const auto value = TakeVarint(rest);
      if (!value) return std::nullopt;
      field.value = *value;
      break;
    }
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
  if ((*key & 7) != 2) std::memcpy(&field.value, rest.data(), size);  // of no bytes for a varint
  rest.remove_prefix(size);
  field.whole = before.substr(0, before.size() - rest.size());
  return field;
}

void AppendVarint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

void AppendNumber(std::string& out, uint32_t number, uint64_t value) {
  AppendVarint(out, uint64_t{number} << 3);
  AppendVarint(out, value);
}

void AppendFloat(std::string& out, uint32_t number, float value) {
  AppendVarint(out, uint64_t{number} << 3 | 5);
  const auto bits = std::bit_cast<uint32_t>(value);
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>(bits >> shift));
}

void AppendBytes(std::string& out, uint32_t number, std::string_view body) {
  AppendVarint(out, uint64_t{number} << 3 | 2);
  AppendVarint(out, body.size());
  out.append(body);
}

}  // namespace likeness
