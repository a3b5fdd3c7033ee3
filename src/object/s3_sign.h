// Signed S3 requests: AWS Signature Version 4 in the Authorization header ("Authenticating Requests: Using the
// Authorization Header", Amazon S3 API Reference). All functions may be called from any thread.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "object/s3_credentials.h"

namespace likeness {

// Names and values; names of headers in lower case.
using S3Fields = std::vector<std::pair<std::string, std::string>>;

struct S3Request {
  std::string method = "GET";
  std::string host;        // as the header Host has it: with the port, unless it is the scheme's own
  std::string path = "/";  // not encoded
  S3Fields query = {};     // not encoded, in any order
  S3Fields headers = {};   // all are signed
  std::string payload_sha256 = kEmptyPayload;  // of the body, 64 hexadecimal digits

  static constexpr char kEmptyPayload[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
};

// Bytes other than letters, digits, '-', '.', '_', '~' (and '/' when kept) as %XX.
std::string PercentEncode(std::string_view text, bool keep_slash);

// What stands after the '?': sorted and encoded, with '=' after each name. Must be sent exactly so, since it is signed
// so.
std::string CanonicalQuery(const S3Fields& query);

// The headers to send: those of the request, host, x-amz-date, x-amz-content-sha256, x-amz-security-token where the
// credentials have one, and authorization.
S3Fields SignS3(const S3Request& request, const S3Credentials& credentials, std::string_view region,
                std::chrono::system_clock::time_point now);

}  // namespace likeness
