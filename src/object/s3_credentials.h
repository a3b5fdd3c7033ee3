// Who asks an S3 server: keys from the environment or from a file, never from a command line. They are written to no
// log and stand in no message.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/status.h"

namespace likeness {

struct S3Credentials {
  std::string access_key;
  std::string secret_key;
  std::string session_token = {};  // of temporary keys; empty: there is none
  std::string source = {};         // where they were found, for messages: "the file X"; empty: it is not known
};

// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, where it is set, AWS_SESSION_TOKEN. Errors: FailedPrecondition, with
// the name of the variable that is missing.
absl::StatusOr<S3Credentials> S3CredentialsFromEnvironment();

// A file in the form of AWS's own (~/.aws/credentials), of which one section counts:
//
//   [default]
//   aws_access_key_id = ...
//   aws_secret_access_key = ...
//   aws_session_token = ...        (only for temporary keys)
//
// Lines may also be `access_key = ...` and `secret_key = ...`, and a file without a section is one. Errors:
// FailedPrecondition (no such file, no such section, a key missing, readable by others than its owner and group), each
// with the file's name and what to do.
absl::StatusOr<S3Credentials> ReadS3Credentials(const std::filesystem::path& file,
                                                std::string_view section = "default");

struct S3Place {
  std::string bucket;
  std::string prefix;  // before all keys; empty, or parts joined by '/' without one at either end
};

// "s3://bucket" or "s3://bucket/some/prefix". Errors: InvalidArgument.
absl::StatusOr<S3Place> ParseS3Url(std::string_view url);

}  // namespace likeness
