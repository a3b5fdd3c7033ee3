#include "store/fingerprint_codec.h"

#include <fingerprint.pb.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace likeness {
namespace {

template <typename T>
bool Ascending(const std::vector<T>& features) {
  const auto not_ascending = [](const FeatureKey& a, const FeatureKey& b) { return !(a < b); };
  return std::ranges::adjacent_find(features, not_ascending, &T::key) == features.end();
}

}  // namespace

absl::StatusOr<std::string> EncodeFingerprint(const Fingerprint& fingerprint) {
  if (!Ascending(fingerprint.deep) || !Ascending(fingerprint.plain)) {
    return absl::InvalidArgumentError("the features of " + fingerprint.signature.Hex() +
                                      " are not sorted by key and distinct");
  }
  proto::Fingerprint message;
  message.set_width(fingerprint.width);
  message.set_height(fingerprint.height);
  for (const Fingerprint::Deep& deep : fingerprint.deep) {
    proto::Fingerprint::Deep& out = *message.add_deep();
    out.set_type(deep.key.type);
    out.set_version(deep.key.version);
    out.set_code(deep.value.code.data(), deep.value.code.size() * sizeof(uint64_t));
    out.set_vector(deep.value.vector.data(), deep.value.vector.size());
    out.set_norm(deep.value.norm);
  }
  for (const Fingerprint::Plain& plain : fingerprint.plain) {
    proto::Fingerprint::Plain& out = *message.add_plain();
    out.set_type(plain.key.type);
    out.set_version(plain.key.version);
    out.set_value(plain.value);
  }
  return message.SerializeAsString();
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
