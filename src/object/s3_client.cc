#include "object/s3_client.h"

#include <curl/curl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <random>
#include <thread>

#include "base/bytes.h"
#include "base/random.h"
#include "object/s3_xml.h"

namespace likeness {
namespace {

constexpr size_t kMaxReplyBytes = 4 << 20;
constexpr size_t kMaxHeaders = 200;
constexpr int kMaxDamaged = 3;

bool IsLoopback(std::string_view host) {
  return host == "localhost" || host.starts_with("127.") || host.starts_with("[::1]") || host.starts_with("localhost:");
}

// Codes with which a server asks for another attempt, beside the 5xx.
bool AsksAgain(const S3Reply& reply) {
  static constexpr std::string_view kCodes[] = {"SlowDown",
                                                "RequestTimeout",
                                                "InternalError",
                                                "OperationAborted",
                                                "TooManyRequests",
                                                "ServiceUnavailable",
                                                "BadDigest",
                                                "IncompleteBody",
                                                "XAmzContentSHA256Mismatch",
                                                "RequestTimeoutException",
                                                "ConditionalRequestConflict"};
  if (reply.status == 501 || reply.status == 505 || reply.status == 507) return false;
  return reply.status >= 500 || reply.status == 429 || reply.status == 408 ||
         std::ranges::find(kCodes, reply.code) != std::end(kCodes);
}

bool MayPass(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_WEIRD_SERVER_REPLY:
      return true;
    default:
      return false;
  }
}

bool RefusesTls(CURLcode code) {
  return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CONNECT_ERROR || code == CURLE_SSL_CERTPROBLEM ||
         code == CURLE_SSL_CACERT_BADFILE || code == CURLE_SSL_ISSUER_ERROR || code == CURLE_SSL_CIPHER;
}

std::chrono::milliseconds Pause(const S3Options& options, int failures, const S3Reply& reply) {
  thread_local Random random{std::random_device{}()};
  const double most = std::min<double>(
      static_cast<double>(options.backoff_most.count()),
      static_cast<double>(options.backoff.count()) * static_cast<double>(1u << std::min(failures - 1, 20)));
  auto pause = std::chrono::milliseconds(static_cast<int64_t>(most * random.Unit()));
  int seconds = 0;
  const std::string_view asked = reply.Header("retry-after");
  if (std::from_chars(asked.data(), asked.data() + asked.size(), seconds).ec == std::errc() && seconds > 0) {
    pause = std::max(pause, std::min<std::chrono::milliseconds>(std::chrono::seconds(seconds), options.backoff_most));
  }
  return pause;
}

}  // namespace

std::string_view S3Reply::Header(std::string_view name) const {
  const auto found = std::ranges::find(headers, name, &std::pair<std::string, std::string>::first);
  return found == headers.end() ? std::string_view() : std::string_view(found->second);
}

// One easy handle, which keeps its connection between requests; one thread at a time.
class S3Client::Connection {
 public:
  Connection() : easy_(curl_easy_init()) { LIKENESS_CHECK(easy_ != nullptr); }
  ~Connection() { curl_easy_cleanup(easy_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // One attempt. `reply` is what came of the answer; `failure` the reason of a callback, where it was one that failed.
  CURLcode Attempt(const S3Client& client, const S3Call& call, std::chrono::milliseconds limit, S3Reply& reply,
                   absl::Status& failure);

  std::string Reason(CURLcode code) const { return error_[0] != '\0' ? error_.data() : curl_easy_strerror(code); }

 private:
  struct Exchange {
    const S3Call& call;
    S3Reply& reply;
    absl::Status& failure;
    uint64_t sent = 0;
    bool begun = false;  // the sink is
  };

  static size_t OnHeader(char* data, size_t one, size_t size, void* user);
  static size_t OnBody(char* data, size_t one, size_t size, void* user);
  static size_t OnRead(char* data, size_t one, size_t size, void* user);
  static int OnSeek(void* user, curl_off_t offset, int origin);

  template <typename Value>
  void Set(CURLoption option, Value value) {
    LIKENESS_CHECK(curl_easy_setopt(easy_, option, value) == CURLE_OK);
  }

  CURL* const easy_;
  std::array<char, CURL_ERROR_SIZE> error_{};
};

size_t S3Client::Connection::OnHeader(char* data, size_t, size_t size, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  std::string_view line(data, size);
  if (line.starts_with("HTTP/")) {  // Another answer begins: the one before was 100 Continue or the like.
    exchange.reply.headers.clear();
    const size_t space = line.find(' ');
    exchange.reply.status = 0;
    if (space != std::string_view::npos) {
      std::from_chars(line.data() + space + 1, line.data() + line.size(), exchange.reply.status);
    }
    return size;
  }
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || exchange.reply.headers.size() >= kMaxHeaders) return size;
  std::string name(line.substr(0, colon));
  std::ranges::transform(name, name.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  std::string_view value = line.substr(colon + 1);
  while (!value.empty() && (value.back() == '\n' || value.back() == '\r' || value.back() == ' '))
    value.remove_suffix(1);
  while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
  exchange.reply.headers.emplace_back(std::move(name), value);
  return size;
}

size_t S3Client::Connection::OnBody(char* data, size_t, size_t size, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  if (exchange.call.sink == nullptr || !exchange.reply.ok()) {
    exchange.reply.body.append(data, std::min(size, kMaxReplyBytes - exchange.reply.body.size()));
    return size;
  }
  if (!exchange.begun) exchange.failure = exchange.call.sink->Begin(exchange.reply);
  exchange.begun = true;
  if (exchange.failure.ok()) exchange.failure = exchange.call.sink->Write(AsBytes({data, size}));
  return exchange.failure.ok() ? size : CURL_WRITEFUNC_ERROR;
}

size_t S3Client::Connection::OnRead(char* data, size_t one, size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  const S3Body& body = exchange.call.body;
  const uint64_t size = std::min<uint64_t>(one * count, body.size() - exchange.sent);
  if (body.fd < 0) {
    std::memcpy(data, body.bytes.data() + exchange.sent, size);
    exchange.sent += size;
    return size;
  }
  if (size == 0) return 0;
  ssize_t got = 0;
  do {
    got = ::pread(body.fd, data, size, static_cast<off_t>(body.offset + exchange.sent));
  } while (got < 0 && errno == EINTR);
  if (got <= 0) {
    exchange.failure = got < 0 ? ErrnoStatus(errno, "cannot read a file that is put")
                               : absl::UnavailableError("a file shrank while it was put");
    return CURL_READFUNC_ABORT;
  }
  exchange.sent += static_cast<uint64_t>(got);
  return static_cast<size_t>(got);
}

int S3Client::Connection::OnSeek(void* user, curl_off_t offset, int origin) {
  auto& exchange = *static_cast<Exchange*>(user);
  if (origin != SEEK_SET || offset < 0 || static_cast<uint64_t>(offset) > exchange.call.body.size()) {
    return CURL_SEEKFUNC_CANTSEEK;
  }
  exchange.sent = static_cast<uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

CURLcode S3Client::Connection::Attempt(const S3Client& client, const S3Call& call, std::chrono::milliseconds limit,
                                       S3Reply& reply, absl::Status& failure) {
  const S3Options& options = client.options_;
  const S3Request request{.method = call.method,
                          .host = client.host_,
                          .path = client.base_path_ + call.key,
                          .query = call.query,
                          .headers = call.headers,
                          .payload_sha256 = call.payload_sha256};
  curl_slist* headers = nullptr;
  const auto add = [&](const std::string& line) { headers = curl_slist_append(headers, line.c_str()); };
  for (const auto& [name, value] : SignS3(request, options.credentials, options.region, options.clock->Now())) {
    add(name + ": " + value);
  }
  add("Expect:");  // Servers answer late to it, or never.
  add("Accept:");
  add("Content-Type:");

  curl_easy_reset(easy_);
  error_[0] = '\0';
  std::string url = client.base_ + PercentEncode(request.path, true);
  if (!call.query.empty()) url += "?" + CanonicalQuery(call.query);
  Exchange exchange{call, reply, failure};
  Set(CURLOPT_ERRORBUFFER, error_.data());
  Set(CURLOPT_URL, url.c_str());
  Set(CURLOPT_PATH_AS_IS, 1L);
  Set(CURLOPT_PROTOCOLS_STR, "http,https");
  Set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  Set(CURLOPT_HTTPHEADER, headers);
  Set(CURLOPT_NOSIGNAL, 1L);
  Set(CURLOPT_TCP_KEEPALIVE, 1L);
  Set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(std::min(options.connect_timeout, limit).count()));
  Set(CURLOPT_LOW_SPEED_LIMIT, 1L);
  Set(CURLOPT_LOW_SPEED_TIME, std::max(1L, static_cast<long>(options.stall_timeout.count() / 1000)));
  if (call.within) Set(CURLOPT_TIMEOUT_MS, static_cast<long>(limit.count()));
  if (client.loopback_) Set(CURLOPT_PROXY, "");
  if (!options.ca_file.empty()) Set(CURLOPT_CAINFO, options.ca_file.c_str());
  Set(CURLOPT_HEADERFUNCTION, &OnHeader);
  Set(CURLOPT_HEADERDATA, &exchange);
  Set(CURLOPT_WRITEFUNCTION, &OnBody);
  Set(CURLOPT_WRITEDATA, &exchange);
  Set(CURLOPT_BUFFERSIZE, 256L << 10);
  if (call.method == "PUT" || call.method == "POST") {
    Set(CURLOPT_UPLOAD, 1L);
    Set(CURLOPT_UPLOAD_BUFFERSIZE, 256L << 10);
    Set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(call.body.size()));
    Set(CURLOPT_READFUNCTION, &OnRead);
    Set(CURLOPT_READDATA, &exchange);
    Set(CURLOPT_SEEKFUNCTION, &OnSeek);
    Set(CURLOPT_SEEKDATA, &exchange);
  }
  if (call.method == "HEAD") Set(CURLOPT_NOBODY, 1L);
  if (call.method != "HEAD" && call.method != "GET") Set(CURLOPT_CUSTOMREQUEST, call.method.c_str());

  const CURLcode code = curl_easy_perform(easy_);
  curl_slist_free_all(headers);
  if (code != CURLE_OK) return code;
  if (!reply.ok()) reply.code = XmlText(reply.body, "Code");
  if (call.sink != nullptr && reply.ok()) {
    if (!exchange.begun) failure = call.sink->Begin(reply);
    if (failure.ok()) failure = call.sink->End(reply);
  }
  return code;
}

absl::StatusOr<std::unique_ptr<S3Client>> S3Client::Make(const S3Options& options) {
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_ALL);
  LIKENESS_CHECK(ready == CURLE_OK);
  std::unique_ptr<S3Client> client(new S3Client(options));
  client->endpoint_ =
      options.endpoint.empty() ? "https://s3." + options.region + ".amazonaws" + ".com" : options.endpoint;
  std::string& endpoint = client->endpoint_;
  while (endpoint.ends_with('/')) endpoint.pop_back();
  const size_t scheme = endpoint.starts_with("http://") ? 7 : endpoint.starts_with("https://") ? 8 : 0;
  std::string host = endpoint.substr(scheme);
  const bool plain = !host.empty() && std::ranges::all_of(host, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == ':' || c == '[' || c == ']' || c == '_';
  });
  if (scheme == 0 || !plain) {
    return absl::InvalidArgumentError("the S3 endpoint '" + endpoint +
                                      "' is not an address: write http://HOST:PORT or https://HOST");
  }
  if (options.bucket.empty()) return absl::InvalidArgumentError("the S3 bucket has no name: name one that exists");
  client->loopback_ = IsLoopback(host);
  const bool path_style = options.path_style.value_or(!options.endpoint.empty());
  if (!path_style) host = options.bucket + "." + host;
  client->base_ = endpoint.substr(0, scheme) + host;
  client->base_path_ = path_style ? "/" + options.bucket + "/" : "/";
  // curl sends no port that is the scheme's own; the signature must say the same.
  const std::string_view own = scheme == 7 ? ":80" : ":443";
  if (host.ends_with(own)) host.resize(host.size() - own.size());
  client->host_ = host;
  return client;
}

S3Client::S3Client(S3Options options) : options_(std::move(options)) {}

S3Client::~S3Client() = default;

std::unique_ptr<S3Client::Connection> S3Client::Take() {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      auto connection = std::move(idle_.back());
      idle_.pop_back();
      return connection;
    }
  }
  return std::make_unique<Connection>();
}

void S3Client::GiveBack(std::unique_ptr<Connection> connection) {
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(connection));
}

absl::StatusOr<S3Reply> S3Client::Do(const S3Call& call) {
  using SteadyClock = std::chrono::steady_clock;
  SteadyClock::time_point until = SteadyClock::time_point::max();
  if (call.within) until = SteadyClock::now() + *call.within;
  std::unique_ptr<Connection> connection = Take();
  int damaged = 0;
  for (int failures = 0;;) {
    S3Reply reply;
    absl::Status failure;
    ++requests_;
    if (failures > 0) ++retries_;
    auto limit = options_.connect_timeout;
    if (call.within)
      limit = std::chrono::ceil<std::chrono::milliseconds>(
          std::max(until - SteadyClock::now(), SteadyClock::duration(1'000'000)));
    const CURLcode code = connection->Attempt(*this, call, limit, reply, failure);
    if (code == CURLE_OK && failure.ok() && !AsksAgain(reply)) {
      GiveBack(std::move(connection));
      return reply;
    }

    if (!failure.ok()) {
      if (!absl::IsDataLoss(failure) || ++damaged == kMaxDamaged) {
        GiveBack(std::move(connection));
        return failure;
      }
    } else if (code != CURLE_OK) {
      const std::string reason = connection->Reason(code);
      connection = std::make_unique<Connection>();  // Nothing that the old one kept is trusted.
      if (RefusesTls(code) && (code != CURLE_SSL_CONNECT_ERROR || call.within)) {
        return absl::FailedPreconditionError("the S3 server at " + endpoint_ +
                                             " and this machine do not agree on TLS (" + reason +
                                             "): check the endpoint's scheme and name, or name its certificate's file");
      }
      failure = absl::UnavailableError("the S3 server at " + endpoint_ + " cannot be reached (" + reason +
                                       "): check that it runs and that the endpoint is right");
      if (!MayPass(code)) return failure;
    } else {
      failure = StatusOf(reply, call.key);
    }
    const SteadyClock::time_point now = SteadyClock::now();
    if (++failures == 1 && !call.within) until = now + options_.retry_for;
    std::chrono::nanoseconds pause = Pause(options_, failures, reply);
    if (call.within ? now + pause >= until : now >= until) {
      if (connection) GiveBack(std::move(connection));
      return failure;
    }
    // The last attempt comes when retry_for ends, however the pauses fell out.
    if (!call.within) pause = std::min<std::chrono::nanoseconds>(pause, until - now);
    std::this_thread::sleep_for(pause);
  }
}

absl::Status S3Client::StatusOf(const S3Reply& reply, std::string_view object) const {
  const std::string at = "the S3 server at " + endpoint_;
  const std::string& code = reply.code;
  const std::string said = "HTTP " + std::to_string(reply.status) + (code.empty() ? "" : ", " + code.substr(0, 60));
  if (code == "NoSuchBucket") {
    return absl::FailedPreconditionError(at + " has no bucket '" + options_.bucket + "': make it, or name another");
  }
  if (code == "RequestTimeTooSkewed") {
    return absl::FailedPreconditionError(
        at + " refuses the clock of this machine, which is more than 15 minutes off its own ('" +
        std::string(reply.Header("date").substr(0, 40)) + "' there): set this machine's clock");
  }
  if (code == "InvalidAccessKeyId" || code == "SignatureDoesNotMatch" || code == "InvalidToken" ||
      code == "ExpiredToken" || code == "UnrecognizedClientException" || reply.status == 401) {
    return absl::FailedPreconditionError(
        at + " does not accept the credentials (" + said + "): correct the access key and the secret key" +
        (options_.credentials.source.empty() ? "" : " in " + options_.credentials.source));
  }
  if (code == "AuthorizationHeaderMalformed" || code == "PermanentRedirect" ||
      code == "IllegalLocationConstraintException" || reply.status == 301 || reply.status == 307) {
    const std::string_view region = reply.Header("x-amz-bucket-region");
    return absl::FailedPreconditionError(
        at + " says that the bucket '" + options_.bucket + "' is elsewhere (" + said + "): set the region" +
        (region.empty() ? "" : " to '" + std::string(region.substr(0, 40)) + "'") + ", or correct the endpoint");
  }
  const std::string name = object.empty() ? "the bucket '" + options_.bucket + "'" : "'" + std::string(object) + "'";
  switch (reply.status) {
    case 403:
      if (code == "QuotaExceeded") return absl::ResourceExhaustedError(at + " is full (" + said + "): raise the quota");
      return absl::FailedPreconditionError(at + " does not let these credentials at " + name + " (" + said +
                                           "): grant them access to the bucket '" + options_.bucket + "'");
    case 404:
      return absl::NotFoundError("there is no object " + name);
    case 412:
      return absl::FailedPreconditionError("the object " + name + " was changed by another, or is gone");
    case 416:
      return absl::OutOfRangeError("the object " + name + " ends before the range that is read");
    case 507:
      return absl::ResourceExhaustedError(at + " is full (" + said + "): make room");
    default:
      break;
  }
  if (code == "EntityTooLarge")
    return absl::ResourceExhaustedError(at + " finds " + name + " too large (" + said + ")");
  if (reply.status >= 500 || reply.status == 429 || reply.status == 408) {
    return absl::UnavailableError(at + " fails (" + said + " for " + name + "): try again later, or see its log");
  }
  return absl::InternalError(
      at + " refuses a request for " + name + " (" + said +
      "): " + (reply.body.starts_with("<") || reply.body.empty() ? "is it S3, and does it speak SigV4?" : "is it S3?"));
}

}  // namespace likeness
