#include "object/s3_credentials.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>

#include "base/file.h"
#include "object/object_store.h"

namespace likeness {
namespace {

constexpr uint64_t kMaxFileBytes = 1 << 20;

std::string_view Trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

// Printable ASCII without blanks: anything else would break the header that it ends up in.
bool IsKey(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

absl::StatusOr<S3Credentials> S3CredentialsFromEnvironment() {
  S3Credentials credentials{Variable("AWS_ACCESS_KEY_ID"), Variable("AWS_SECRET_ACCESS_KEY"),
                            Variable("AWS_SESSION_TOKEN"),
                            "the environment variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"};
  const bool access = IsKey(credentials.access_key);
  if (!access || !IsKey(credentials.secret_key)) {
    return absl::FailedPreconditionError(std::string("the environment variable ") +
                                         (access ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID") +
                                         " is not set, or holds no key: set it, or name a file with credentials");
  }
  return credentials;
}

absl::StatusOr<S3Credentials> ReadS3Credentials(const std::filesystem::path& file, std::string_view section) {
  const auto refuse = [&](const std::string& reason) {
    return absl::FailedPreconditionError("the file with S3 credentials, " + file.string() + ", " + reason);
  };
  struct stat info;
  if (::stat(file.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return refuse("does not exist: write it");
  if ((info.st_mode & (S_IROTH | S_IWOTH)) != 0) {
    return refuse("can be read by everybody: take that away with `chmod o= " + file.string() + "`");
  }
  const absl::StatusOr<std::string> text = ReadFile(file, kMaxFileBytes);
  if (!text.ok()) return refuse("cannot be read: " + MessageOf(text.status()));

  S3Credentials credentials;
  credentials.source = "the file " + file.string();
  bool here = true, found = section == "default";
  for (std::string_view rest = *text; !rest.empty();) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = Trimmed(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    if (line[0] == '[') {
      here = line.ends_with(']') && Trimmed(line.substr(1, line.size() - 2)) == section;
      found = found || here;
      continue;
    }
    const size_t equals = line.find('=');
    if (!here || equals == std::string_view::npos) continue;
    const std::string_view name = Trimmed(line.substr(0, equals));
    const std::string value(Trimmed(line.substr(equals + 1)));
    if (name == "aws_access_key_id" || name == "access_key") credentials.access_key = value;
    if (name == "aws_secret_access_key" || name == "secret_key") credentials.secret_key = value;
    if (name == "aws_session_token" || name == "session_token") credentials.session_token = value;
  }
  if (!found) return refuse("has no section [" + std::string(section) + "]: add it, or name another");
  if (!IsKey(credentials.access_key)) return refuse("has no aws_access_key_id: add the line");
  if (!IsKey(credentials.secret_key)) return refuse("has no aws_secret_access_key: add the line");
  if (!credentials.session_token.empty() && !IsKey(credentials.session_token)) {
    return refuse("has an aws_session_token that holds blanks: correct the line");
  }
  return credentials;
}

absl::StatusOr<S3Place> ParseS3Url(std::string_view url) {
  const auto refuse = [&](const std::string& reason) {
    return absl::InvalidArgumentError("'" + std::string(url.substr(0, 200)) + "' is not a place on S3: " + reason +
                                      "; write s3://BUCKET or s3://BUCKET/PREFIX");
  };
  constexpr std::string_view kScheme = "s3://";
  if (!url.starts_with(kScheme)) return refuse("it does not begin with s3://");
  url.remove_prefix(kScheme.size());
  const size_t slash = std::min(url.find('/'), url.size());
  S3Place place{std::string(url.substr(0, slash)), std::string(url.substr(std::min(slash + 1, url.size())))};
  while (place.prefix.ends_with('/')) place.prefix.pop_back();
  const bool named =
      place.bucket.size() >= 3 && place.bucket.size() <= 255 && std::ranges::all_of(place.bucket, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
               c == '_';
      });
  if (!named || place.bucket[0] == '.') {
    return refuse("the bucket's name must be 3 letters, digits, '-', '.' or '_' at least");
  }
  if (!place.prefix.empty() && !CheckObjectKey(place.prefix).ok()) {
    return refuse("the prefix must be parts of printable ASCII, none of them empty or beginning with '.'");
  }
  return place;
}

}  // namespace likeness
