#include "pipeline/engines.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "object/folder_store.h"
#include "object/s3_store.h"
#include "queue/nats_queue.h"
#include "queue/sql_queue.h"

namespace likeness {
namespace {

constexpr uint64_t kMaxSecretBytes = 64 << 10;

std::filesystem::path In(const std::filesystem::path& home, const std::string& path) {
  return path.empty() ? std::filesystem::path() : home / path;
}

// A file that holds a secret and, perhaps, a line end.
absl::StatusOr<std::string> ReadSecret(const std::filesystem::path& path) {
  LIKENESS_ASSIGN_OR_RETURN(std::string secret, ReadFile(path, kMaxSecretBytes));
  secret.erase(secret.find_last_not_of("\r\n") + 1);
  return secret;
}

absl::StatusOr<std::unique_ptr<ObjectStore>> OpenS3(const ObjectsConfig& config, const std::filesystem::path& home) {
  if (config.url.find('@') != std::string::npos) {
    return absl::InvalidArgumentError(
        "an S3 address holds no name and no secret: set credentials_file, or AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY in the environment");
  }
  LIKENESS_ASSIGN_OR_RETURN(S3Place place, ParseS3Url(config.url));
  S3Options options;
  options.endpoint = config.endpoint;
  options.region = config.region;
  options.bucket = std::move(place.bucket);
  options.prefix = std::move(place.prefix);
  LIKENESS_ASSIGN_OR_RETURN(options.credentials, config.credentials_file.empty()
                                                     ? S3CredentialsFromEnvironment()
                                                     : ReadS3Credentials(In(home, config.credentials_file)));
  options.ca_file = In(home, config.ca_file);
  options.cache = home / "cache";
  options.cache_bytes = config.cache_bytes;
  options.single_writer = config.single_writer;
  return S3Store::Open(options);
}

// "nats://a:4222,nats://b:4222"
std::vector<std::string> Split(const std::string& urls) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= urls.size();) {
    const size_t end = std::min(urls.find(',', begin), urls.size());
    parts.push_back(urls.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

bool IsNats(const QueueConfig& config) { return config.url.starts_with("nats://") || config.url.starts_with("tls://"); }

absl::StatusOr<NatsOptions> NatsOptionsOf(const QueueConfig& config, const std::filesystem::path& home) {
  NatsOptions options;
  options.urls = Split(config.url);
  options.name = config.name;
  options.replicas = static_cast<int>(config.replicas);
  options.user = config.user;
  if (!config.password_file.empty()) {
    LIKENESS_ASSIGN_OR_RETURN(options.password, ReadSecret(In(home, config.password_file)));
  }
  if (!config.token_file.empty()) {
    LIKENESS_ASSIGN_OR_RETURN(options.token, ReadSecret(In(home, config.token_file)));
  }
  options.credentials_file = In(home, config.credentials_file).string();
  options.ca_file = In(home, config.ca_file).string();
  return options;
}

absl::StatusOr<std::unique_ptr<Queue>> OpenNats(const QueueConfig& config, const std::filesystem::path& home) {
  LIKENESS_ASSIGN_OR_RETURN(const NatsOptions options, NatsOptionsOf(config, home));
  return OpenNatsQueue(options);
}

// The error of an engine, with where in the configuration it was chosen.
template <typename T>
absl::StatusOr<T> Opened(const std::string& section, const std::string& url, absl::StatusOr<T> engine) {
  if (engine.ok()) return engine;
  return Annotate(engine.status(), "[" + section + "] url is \"" + WithoutSecrets(url) + "\"");
}

std::function<std::unique_ptr<ObjectStore>(std::unique_ptr<ObjectStore>)>& Wrap() {
  static auto* const wrap = new std::function<std::unique_ptr<ObjectStore>(std::unique_ptr<ObjectStore>)>;
  return *wrap;
}

}  // namespace

std::string WithoutSecrets(std::string_view addresses) {
  const size_t slashes = addresses.find("://");
  if (slashes == std::string_view::npos) {  // No address: perhaps "host=a password=b".
    return addresses.find_first_of("@= ") == std::string_view::npos ? std::string(addresses) : "...";
  }
  const size_t begin = slashes + 3;
  // A secret may hold a comma: of several addresses of which one has an '@', what stands behind the last '@' is shown.
  const size_t at = addresses.rfind('@');
  std::string shown(addresses.substr(0, begin));
  if (at != std::string_view::npos && at >= begin) {
    shown += "...@";
    addresses.remove_prefix(at + 1);
  } else {
    addresses.remove_prefix(begin);
  }
  return shown.append(addresses.substr(0, addresses.find_first_of("?#")));
}

absl::StatusOr<std::unique_ptr<ObjectStore>> OpenObjects(const ObjectsConfig& config,
                                                         const std::filesystem::path& home) {
  absl::StatusOr<std::unique_ptr<ObjectStore>> store =
      config.url.empty() ? FolderStore::Open(home / "objects") : Opened("objects", config.url, OpenS3(config, home));
  if (store.ok() && Wrap()) return Wrap()(*std::move(store));
  return store;
}

void WrapObjects(std::function<std::unique_ptr<ObjectStore>(std::unique_ptr<ObjectStore>)> wrap) {
  Wrap() = std::move(wrap);
}

absl::StatusOr<std::unique_ptr<Catalog>> OpenCatalog(const CatalogConfig& config, const std::filesystem::path& home) {
  if (config.url.empty()) return Catalog::Open(home / "catalog.sqlite");
  CatalogOptions options;
  options.retry_for = std::chrono::milliseconds(static_cast<int64_t>(config.retry_seconds * 1000));
  return Opened("catalog", config.url, Catalog::Connect(config.url, options));
}

absl::StatusOr<std::unique_ptr<Queue>> OpenQueue(const QueueConfig& config, const std::filesystem::path& home) {
  if (config.url.empty()) return OpenSqliteQueue(home / "queue.sqlite");
  return Opened("queue", config.url, IsNats(config) ? OpenNats(config, home) : OpenPostgresQueue(config.url));
}

absl::StatusOr<NatsOptions> ReadNatsOptions(const QueueConfig& config, const std::filesystem::path& home) {
  if (!IsNats(config)) {
    return absl::InvalidArgumentError(
        "[cluster] discovery is \"nats\", but [queue] url names no NATS servers: set it to nats://HOST:PORT,... or "
        "list the leaves");
  }
  return Opened("queue", config.url, NatsOptionsOf(config, home));
}

}  // namespace likeness
