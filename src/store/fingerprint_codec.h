// A fingerprint as the bytes of its protobuf message and back (src/store/fingerprint.proto).
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "types/fingerprint.h"

namespace likeness {

// InvalidArgument unless the features are sorted by key and distinct. The signature is not part of the bytes.
absl::StatusOr<std::string> EncodeFingerprint(const Fingerprint& fingerprint);
// The same behind what is in `out`.
absl::Status AppendFingerprint(const Fingerprint& fingerprint, std::string& out);

// Errors: DataLoss with the reason.
absl::StatusOr<Fingerprint> DecodeFingerprint(const Signature& signature, std::string_view bytes);

}  // namespace likeness
