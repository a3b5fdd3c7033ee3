#include "queue/nats_connection.h"

#include <algorithm>
#include <fstream>
#include <thread>

#include "base/clock.h"
#include "base/log.h"

namespace likeness {
namespace {

using std::chrono::milliseconds;

constexpr int64_t kRequestMilliseconds = 2000;  // a leader that died answers nothing; another one may soon
constexpr milliseconds kFirstPause{25};
constexpr milliseconds kLastPause{500};

using Options = std::unique_ptr<natsOptions, NatsDestroyer<natsOptions_Destroy>>;

void OnError(natsConnection*, natsSubscription*, natsStatus error, void*) {
  Log(LogLevel::kDebug, "nats_error", {{"error", natsStatus_GetText(error)}});
}
void OnDisconnect(natsConnection* connection, void*) {
  if (natsConnection_IsReconnecting(connection)) Log(LogLevel::kWarning, "nats_disconnected");
}
void OnReconnect(natsConnection*, void*) { Log(LogLevel::kInfo, "nats_reconnected"); }

absl::Status CheckOptions(const NatsOptions& options) {
  if (options.urls.empty()) return absl::InvalidArgumentError("no NATS server is named: give at least one URL");
  for (const std::string& url : options.urls) {
    if (url.find('@') != std::string::npos) {
      return absl::InvalidArgumentError("a NATS URL must not hold a name or a secret: give those by themselves");
    }
    if (!url.starts_with("nats://") && !url.starts_with("tls://")) {
      return absl::InvalidArgumentError("the NATS URL \"" + url + "\" must begin with nats:// or tls://");
    }
  }
  if (options.name.empty() || options.name.size() > 100 || !std::ranges::all_of(options.name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
      })) {
    return absl::InvalidArgumentError("the queue's name \"" + options.name +
                                      "\" must be of letters, digits, '-' and '_', at most 100");
  }
  if (options.replicas != 1 && options.replicas != 3 && options.replicas != 5) {
    return absl::InvalidArgumentError(std::to_string(options.replicas) + " replicas: there can be 1, 3 or 5");
  }
  if (!options.user.empty() + !options.token.empty() + !options.credentials_file.empty() > 1) {
    return absl::InvalidArgumentError("only one of user, token and credentials file can be given for NATS");
  }
  return absl::OkStatus();
}

std::string WhatToCorrect(const NatsOptions& options) {
  if (!options.credentials_file.empty())
    return "put the right ones into the credentials file " + options.credentials_file;
  if (!options.token.empty()) return "correct the token in the token file";
  if (!options.user.empty()) return "correct the user \"" + options.user + "\" and the password in the password file";
  return "give a user and a password file, a token file, or a credentials file";
}

}  // namespace

bool NatsResult::Passing() const {
  switch (status) {
    case NATS_OK:
      return false;
    case NATS_TIMEOUT:
    case NATS_NO_RESPONDERS:
    case NATS_IO_ERROR:
    case NATS_CONNECTION_DISCONNECTED:
    case NATS_STALE_CONNECTION:
    case NATS_NO_SERVER:
    case NATS_INSUFFICIENT_BUFFER:
      return true;
    default:
      return Is(JSClusterIncompleteErr) || Is(JSClusterNotActiveErr) || Is(JSClusterNotAvailErr) ||
             Is(JSClusterNotLeaderErr) || Is(JSRaftGeneralErr) || Is(JSStreamOfflineErr) || Is(JSConsumerOfflineErr) ||
             Is(JSInsufficientResourcesErr) ||
             // Made a moment ago, and not every server knows it yet.
             Is(JSStreamNotFoundErr) || Is(JSConsumerNotFoundErr);
  }
}

absl::StatusOr<std::unique_ptr<NatsConnection>> NatsConnection::Open(const NatsOptions& options) {
  LIKENESS_RETURN_IF_ERROR(CheckOptions(options));
  natsOptions* raw = nullptr;
  natsStatus status = natsOptions_Create(&raw);
  const Options made(raw);
  std::vector<const char*> urls;
  auto connection = std::unique_ptr<NatsConnection>(new NatsConnection);
  for (const std::string& url : options.urls) {
    urls.push_back(url.c_str());
    connection->servers_ += (connection->servers_.empty() ? "" : ", ") + url;
  }
  const auto set = [&](natsStatus next) {
    if (status == NATS_OK) status = next;
  };
  set(natsOptions_SetServers(raw, urls.data(), static_cast<int>(urls.size())));
  set(natsOptions_SetName(raw, "likeness"));
  set(natsOptions_SetTimeout(
      raw, std::max<int64_t>(200, options.open_timeout.count() / static_cast<int64_t>(urls.size() + 1))));
  set(natsOptions_SetMaxReconnect(raw, -1));
  set(natsOptions_SetReconnectWait(raw, 100));
  set(natsOptions_SetReconnectJitter(raw, 200, 400));
  set(natsOptions_SetPingInterval(raw, 5000));
  set(natsOptions_SetMaxPingsOut(raw, 2));
  set(natsOptions_SetFailRequestsOnDisconnect(raw, true));
  set(natsOptions_SetErrorHandler(raw, OnError, nullptr));
  set(natsOptions_SetDisconnectedCB(raw, OnDisconnect, nullptr));
  set(natsOptions_SetReconnectedCB(raw, OnReconnect, nullptr));
  if (!options.user.empty()) set(natsOptions_SetUserInfo(raw, options.user.c_str(), options.password.c_str()));
  if (!options.token.empty()) set(natsOptions_SetToken(raw, options.token.c_str()));
  if (status != NATS_OK) return absl::InternalError("the NATS client cannot be set up");
  if (!options.credentials_file.empty() && !std::ifstream(options.credentials_file)) {
    return absl::FailedPreconditionError("cannot read the NATS credentials " + options.credentials_file);
  }
  if (!options.credentials_file.empty() &&
      natsOptions_SetUserCredentialsFromFiles(raw, options.credentials_file.c_str(), nullptr) != NATS_OK) {
    return absl::FailedPreconditionError("cannot read the NATS credentials " + options.credentials_file);
  }
  if (!options.ca_file.empty() && natsOptions_LoadCATrustedCertificates(raw, options.ca_file.c_str()) != NATS_OK) {
    return absl::FailedPreconditionError("cannot read the certificates " + options.ca_file);
  }
  status = natsConnection_Connect(&connection->connection_, raw);
  switch (status) {
    case NATS_OK:
      break;
    case NATS_CONNECTION_AUTH_FAILED:
      return absl::FailedPreconditionError("NATS at " + connection->servers_ +
                                           " refuses the credentials: " + WhatToCorrect(options));
    case NATS_SSL_ERROR:
    case NATS_SECURE_CONNECTION_REQUIRED:
    case NATS_SECURE_CONNECTION_WANTED:
      return absl::FailedPreconditionError("NATS at " + connection->servers_ +
                                           " cannot be spoken to with TLS as asked: " + natsStatus_GetText(status) +
                                           "; correct the URL or the certificates");
    case NATS_ERR:
    case NATS_NOT_FOUND:  // what the library says of a credentials file that is none
    case NATS_INVALID_ARG:
      if (!options.credentials_file.empty()) {
        return absl::FailedPreconditionError("the NATS credentials " + options.credentials_file + " cannot be used");
      }
      [[fallthrough]];
    default:
      return absl::UnavailableError("no NATS server can be reached at " + connection->servers_ + " (" +
                                    natsStatus_GetText(status) + "): start it, or correct the URL");
  }
  jsOptions context;
  jsOptions_Init(&context);
  context.Wait = kRequestMilliseconds;
  if (natsConnection_JetStream(&connection->jetstream_, connection->connection_, &context) != NATS_OK) {
    return absl::InternalError("the NATS client cannot be set up");
  }
  return connection;
}

NatsConnection::~NatsConnection() {
  jsCtx_Destroy(jetstream_);
  natsConnection_Destroy(connection_);
}

NatsResult NatsConnection::Persist(milliseconds timeout, const std::function<NatsResult()>& call) const {
  const Deadline deadline = Deadline::After(timeout);
  for (milliseconds pause = kFirstPause;; pause = std::min(kLastPause, 2 * pause)) {
    const NatsResult result = call();
    if (!result.Passing() || std::chrono::steady_clock::now() + pause >= deadline.when()) return result;
    std::this_thread::sleep_for(pause);
  }
}

NatsResult NatsConnection::Request(const std::string& subject, std::string_view body, NatsMessage* reply) const {
  natsMsg* answer = nullptr;
  const natsStatus status = natsConnection_Request(&answer, connection_, subject.c_str(), body.data(),
                                                   static_cast<int>(body.size()), kRequestMilliseconds);
  NatsMessage owned(answer);
  if (reply != nullptr) *reply = std::move(owned);
  return {status};
}

absl::Status NatsConnection::StatusOf(const NatsResult& result, std::string_view action) const {
  if (result.ok()) return absl::OkStatus();
  std::string why = natsStatus_GetText(result.status);
  if (result.error != 0) why += ", JetStream error " + std::to_string(result.error);
  const std::string message = "queue: " + std::string(action) + " at " + servers_ + " (" + why + ")";
  if (result.Is(JSStreamNotFoundErr) || result.Is(JSConsumerNotFoundErr)) {
    return absl::UnavailableError(message + ": somebody has deleted its stream or consumer; start this program anew");
  }
  if (result.Passing()) return absl::UnavailableError(message + ": a majority of the servers must run");
  switch (result.error) {
    case JSStorageResourcesExceededErr:
    case JSMemoryResourcesExceededErr:
    case JSAccountResourcesExceededErr:
    case JSMaximumStreamsLimitErr:
      return absl::ResourceExhaustedError(message + ": give the servers or the account more room");
    default:
      break;
  }
  if (result.status == NATS_NOT_PERMITTED || result.status == NATS_CONNECTION_AUTH_FAILED) {
    return absl::FailedPreconditionError(message + ": allow the user what docs/queue.md lists");
  }
  return absl::InternalError(message);
}

}  // namespace likeness
