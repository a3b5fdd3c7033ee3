#include "store/fingerprint_codec.h"

#include <fingerprint.pb.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace likeness {
namespace {

template <typename T>
bool Ascending(const std::vector<T>& features) {
  const auto not_ascending = [](const FeatureKey& a, const FeatureKey& b) { return !(a < b); };
  return std::ranges::adjacent_find(features, not_ascending, &T::key) == features.end();
}

// The wire format of protobuf, written without a message in between, for its speed; the same bytes. What has its
// default (0, or nothing) is left out, and numbers of fields are those of fingerprint.proto.
enum WireType : uint8_t { kVarint = 0, kDelimited = 2, kFixed32 = 5 };

void PutVarint(uint64_t value, std::string& out) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

uint64_t VarintBytes(uint64_t value) {
  uint64_t bytes = 1;
  for (; value >= 0x80; value >>= 7) ++bytes;
  return bytes;
}

// REQUIRES: field < 16
void PutTag(uint8_t field, WireType type, std::string& out) { out.push_back(static_cast<char>(field << 3 | type)); }

void PutNumber(uint8_t field, uint32_t value, std::string& out) {
  if (value == 0) return;
  PutTag(field, kVarint, out);
  PutVarint(value, out);
}

void PutBytes(uint8_t field, std::string_view value, std::string& out) {
  if (value.empty()) return;
  PutTag(field, kDelimited, out);
  PutVarint(value.size(), out);
  out.append(value);
}

// What PutBytes writes.
uint64_t FieldBytes(std::string_view value) { return value.empty() ? 0 : 1 + VarintBytes(value.size()) + value.size(); }

}  // namespace

absl::StatusOr<std::string> EncodeFingerprint(const Fingerprint& fingerprint) {
  std::string bytes;
  LIKENESS_RETURN_IF_ERROR(AppendFingerprint(fingerprint, bytes));
  return bytes;
}

absl::Status AppendFingerprint(const Fingerprint& fingerprint, std::string& out) {
  if (!Ascending(fingerprint.deep) || !Ascending(fingerprint.plain)) {
    return absl::InvalidArgumentError("the features of " + fingerprint.signature.Hex() +
                                      " are not sorted by key and distinct");
  }
  PutNumber(1, fingerprint.width, out);
  PutNumber(2, fingerprint.height, out);
  for (const Fingerprint::Deep& deep : fingerprint.deep) {
    const std::string_view code(reinterpret_cast<const char*>(deep.value.code.data()),
                                deep.value.code.size() * sizeof(uint64_t));
    const std::string_view vector(reinterpret_cast<const char*>(deep.value.vector.data()), deep.value.vector.size());
    const auto norm = std::bit_cast<uint32_t>(deep.value.norm);
    PutTag(3, kDelimited, out);
    PutVarint(FieldBytes(deep.key.type) + FieldBytes(deep.key.version) + FieldBytes(code) + FieldBytes(vector) +
                  (norm == 0 ? 0 : 1 + sizeof(norm)),
              out);
    PutBytes(1, deep.key.type, out);
    PutBytes(2, deep.key.version, out);
    PutBytes(3, code, out);
    PutBytes(4, vector, out);
    if (norm == 0) continue;
    PutTag(5, kFixed32, out);
    out.append(reinterpret_cast<const char*>(&norm), sizeof(norm));
  }
  for (const Fingerprint::Plain& plain : fingerprint.plain) {
    PutTag(4, kDelimited, out);
    PutVarint(FieldBytes(plain.key.type) + FieldBytes(plain.key.version) + FieldBytes(plain.value), out);
    PutBytes(1, plain.key.type, out);
    PutBytes(2, plain.key.version, out);
    PutBytes(3, plain.value, out);
  }
  return absl::OkStatus();
}

absl::StatusOr<Fingerprint> DecodeFingerprint(const Signature& signature, std::string_view bytes) {
  const auto damaged = [&](const char* reason) {
    return absl::DataLossError("fingerprint of " + signature.Hex() + ": " + reason);
  };
  proto::Fingerprint message;
  if (bytes.size() > INT32_MAX || !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return damaged("not a protobuf message");
  }
  Fingerprint fingerprint;
  fingerprint.signature = signature;
  fingerprint.width = message.width();
  fingerprint.height = message.height();
  fingerprint.deep.resize(static_cast<size_t>(message.deep_size()));
  for (size_t i = 0; i < fingerprint.deep.size(); ++i) {
    const proto::Fingerprint::Deep& in = message.deep(static_cast<int>(i));
    Fingerprint::Deep& deep = fingerprint.deep[i];
    if (in.code().size() % sizeof(uint64_t) != 0) return damaged("a code is not made of 64-bit words");
    if (!std::isfinite(in.norm()) || in.norm() < 0) return damaged("a norm is not a length");
    deep.key = {in.type(), in.version()};
    deep.value.code.resize(in.code().size() / sizeof(uint64_t));
    if (!in.code().empty()) std::memcpy(deep.value.code.data(), in.code().data(), in.code().size());
    deep.value.vector.resize(in.vector().size());
    if (!in.vector().empty()) std::memcpy(deep.value.vector.data(), in.vector().data(), in.vector().size());
    deep.value.norm = in.norm();
  }
  for (proto::Fingerprint::Plain& in : *message.mutable_plain()) {
    fingerprint.plain.push_back({{in.type(), in.version()}, std::move(*in.mutable_value())});
  }
  if (!Ascending(fingerprint.deep) || !Ascending(fingerprint.plain))
    return damaged("the features are not sorted by key and distinct");
  return fingerprint;
}

}  // namespace likeness
