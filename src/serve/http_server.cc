#include "serve/http_server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <set>
#include <thread>

#include "base/log.h"
#include "base/thread_pool.h"

namespace likeness {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using ErrorCode = boost::system::error_code;
using Time = std::chrono::steady_clock::time_point;

constexpr std::chrono::milliseconds kSweep{50};
constexpr std::chrono::milliseconds kDrainTime{1000};
constexpr uint64_t kDrainBytes = 8u << 20;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

Time Now() { return std::chrono::steady_clock::now(); }

struct Connection {
  enum class Phase { kReading, kWorking, kWriting, kDraining, kClosed };

  Connection(tcp::socket accepted, const RequestLimits& limits) : socket(std::move(accepted)), reader(limits) {}

  tcp::socket socket;
  RequestReader reader;
  Phase phase = Phase::kReading;
  Time started = Now();  // of the phase; while reading, of the request's first byte
  Time moved = Now();    // when a byte last came or went
  uint64_t charged = 0;  // of the buffered bytes of all connections
  uint64_t drained = 0;
  bool keep_alive = false;
  std::string head;  // of the answer being sent
  std::string body;
  size_t sent = 0;  // of both
};
using ConnectionPtr = std::shared_ptr<Connection>;

// Connections that this process has descriptors for, beside its files.
size_t ConnectionLimit(size_t wanted) {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return wanted;
  const rlim_t spare = limit.rlim_cur > 256 ? limit.rlim_cur - 128 : limit.rlim_cur / 2;
  return static_cast<size_t>(std::min<rlim_t>(wanted, spare));
}

ApiResponse Overloaded() {
  return ErrorResponse(503, "unavailable", "The server has as many requests as it can take; ask again in 1 s.");
}

// Many a client sends a head, and its body only when the head was acknowledged (J. Nagle, RFC 896), which the system
// puts off by 40 ms where nothing is being sent. The option lasts for a moment, so it is set each time.
void AcknowledgeAtOnce(tcp::socket& socket) {
#ifdef TCP_QUICKACK
  const int yes = 1;
  ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_QUICKACK, &yes, sizeof(yes));
#else
  (void)socket;
#endif
}

}  // namespace

// All but Run, Stop and the work itself happens on the loop's own thread, so nothing here needs a lock.
class HttpServer::Loop {
 public:
  Loop(Api& api, const HttpServerOptions& options)
      : api_(api), options_(options), connection_limit_(ConnectionLimit(options.connections)) {}
  ~Loop() { Stop(); }

  absl::Status Bind();
  void Run();
  void Stop();
  const tcp::endpoint& endpoint() const { return endpoint_; }

 private:
  using Phase = Connection::Phase;

  void Accept();
  bool MakeRoom();
  void Read(const ConnectionPtr& connection);
  void Received(const ConnectionPtr& connection);
  void Work(const ConnectionPtr& connection);
  void Answer(const ConnectionPtr& connection, ApiResponse response, bool keep_alive, bool head_only = false);
  void Refuse(const ConnectionPtr& connection, ApiResponse response);
  void Write(const ConnectionPtr& connection);
  void Drain(const ConnectionPtr& connection);
  void Close(const ConnectionPtr& connection);
  bool Charge(const ConnectionPtr& connection, uint64_t bytes);
  void Sweep();
  void CheckTime(const ConnectionPtr& connection, Time now);

  Api& api_;
  const HttpServerOptions options_;
  const size_t connection_limit_;
  asio::io_context io_;
  tcp::acceptor acceptor_{io_};
  asio::steady_timer sweep_{io_};
  asio::steady_timer retry_{io_};
  tcp::endpoint endpoint_;
  std::set<ConnectionPtr> connections_;
  std::array<char, 64 << 10> buffer_;  // of whoever reads at the moment
  uint64_t buffered_ = 0;
  bool stopping_ = false;
  Time stop_by_;
  std::atomic<size_t> queued_ = 0;       // requests that no worker has begun
  std::atomic<bool> abandoned_ = false;  // the loop has ended: work that has not begun is pointless
  std::mutex stop_mutex_;
  std::thread thread_;                   // guarded by stop_mutex_
  std::unique_ptr<ThreadPool> workers_;  // guarded by stop_mutex_ after Run; last, so that it ends before io_ does
};

absl::Status HttpServer::Loop::Bind() {
  ErrorCode error;
  const std::string host = options_.host == "localhost" ? "127.0.0.1" : options_.host;
  const asio::ip::address address = asio::ip::make_address(host, error);
  if (error) {
    return absl::InvalidArgumentError("'" + options_.host +
                                      "' is no address of this machine; give 127.0.0.1, ::1 or 0.0.0.0.");
  }
  if (!address.is_loopback() && api_.access().token.empty()) {
    return absl::FailedPreconditionError("Listening on " + options_.host +
                                         " lets others in: give --token-file FILE, or listen on 127.0.0.1.");
  }
  const tcp::endpoint wanted(address, options_.port);
  acceptor_.open(wanted.protocol(), error);
  if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_.bind(wanted, error);
  if (!error) acceptor_.listen(256, error);
  if (!error) acceptor_.non_blocking(true, error);
  if (error) {
    const std::string where = options_.host + " port " + std::to_string(options_.port);
    if (error == asio::error::address_in_use) {
      return absl::AlreadyExistsError("Another program listens on " + where + "; stop it, or give another --port.");
    }
    return absl::UnavailableError("Cannot listen on " + where + ": " + error.message() + ".");
  }
  endpoint_ = acceptor_.local_endpoint(error);
  if (address.is_loopback()) {
    const std::string text = address.is_v6() ? "[" + address.to_string() + "]" : address.to_string();
    std::vector<std::string> hosts;
    for (const std::string& name : {text, std::string("localhost"), std::string("127.0.0.1"), std::string("[::1]")}) {
      hosts.push_back(name + ":" + std::to_string(endpoint_.port()));
      if (endpoint_.port() == 80) hosts.push_back(name);
    }
    api_.AllowHosts(std::move(hosts));
  }
  return absl::OkStatus();
}

void HttpServer::Loop::Run() {
  workers_ = std::make_unique<ThreadPool>(api_.MaxBlocked() + 4);
  Accept();
  Sweep();
  thread_ = std::thread([this] { io_.run(); });
}

void HttpServer::Loop::Stop() {
  std::lock_guard lock(stop_mutex_);
  if (!thread_.joinable()) return;
  asio::post(io_, [this] {
    stopping_ = true;
    stop_by_ = Now() + options_.stop_time;
    ErrorCode ignored;
    acceptor_.close(ignored);
    retry_.cancel();
    for (const ConnectionPtr& connection : std::set(connections_)) {
      if (connection->phase == Phase::kReading) Close(connection);
      connection->keep_alive = false;
    }
  });
  thread_.join();
  abandoned_ = true;
  workers_.reset();
}

void HttpServer::Loop::Accept() {
  acceptor_.async_accept([this](ErrorCode error, tcp::socket socket) {
    if (stopping_) return;
    if (!error && MakeRoom()) {
      socket.non_blocking(true, error);
      if (!error) socket.set_option(tcp::no_delay(true), error);
      if (!error) {
        auto connection = std::make_shared<Connection>(std::move(socket), options_.limits);
        connections_.insert(connection);
        Read(connection);
      }
    } else if (!error) {
      // Every connection is at work. The newcomer is told so, as far as that needs no waiting.
      api_.metrics().Refused("connections");
      ApiResponse response = Overloaded();
      AddSafetyHeaders(response);
      socket.non_blocking(true, error);
      const std::string text = FormatHead(response, false) + response.body;
      socket.write_some(asio::buffer(text), error);
    } else if (error == asio::error::no_descriptors || error == asio::error::no_memory) {
      Log(LogLevel::kWarning, "cannot_accept", {{"reason", error.message()}});
      retry_.expires_after(std::chrono::milliseconds(100));
      retry_.async_wait([this](ErrorCode cancelled) {
        if (!cancelled && !stopping_) Accept();
      });
      return;
    }
    Accept();
  });
}

// Whether there is a place for one more: the idle connection that is so for longest gives way, or else the one that has
// been receiving for longest.
bool HttpServer::Loop::MakeRoom() {
  if (connections_.size() < connection_limit_) return true;
  ConnectionPtr oldest;
  const auto order = [](const Connection& c) {
    return std::pair(c.reader.state() != RequestReader::State::kIdle, c.started);
  };
  for (const ConnectionPtr& connection : connections_) {
    if (connection->phase != Phase::kReading) continue;
    if (oldest == nullptr || order(*connection) < order(*oldest)) oldest = connection;
  }
  if (oldest == nullptr) return false;
  Close(oldest);
  return true;
}

void HttpServer::Loop::Read(const ConnectionPtr& connection) {
  connection->phase = Phase::kReading;
  connection->socket.async_wait(tcp::socket::wait_read, [this, connection](ErrorCode error) {
    if (connection->phase != Phase::kReading || error == asio::error::operation_aborted) return;
    const size_t size = error ? 0 : connection->socket.read_some(asio::buffer(buffer_), error);
    if (error == asio::error::would_block || error == asio::error::interrupted) return Read(connection);
    if (error) return Close(connection);
    connection->moved = Now();
    if (connection->reader.state() == RequestReader::State::kIdle) connection->started = connection->moved;
    connection->reader.Feed({buffer_.data(), size});
    Received(connection);
  });
}

void HttpServer::Loop::Received(const ConnectionPtr& connection) {
  RequestReader& reader = connection->reader;
  if (!Charge(connection, reader.buffered())) {
    api_.metrics().Refused("bytes");
    return Refuse(connection, Overloaded());
  }
  switch (reader.state()) {
    case RequestReader::State::kFailed:
      return Refuse(connection, reader.error());
    case RequestReader::State::kComplete:
      return Work(connection);
    default:
      if (reader.TakeExpectation()) {
        // Nothing else is being sent, so there is room for these few bytes.
        ErrorCode ignored;
        connection->socket.write_some(asio::buffer(kContinue), ignored);
      }
      AcknowledgeAtOnce(connection->socket);
      return Read(connection);
  }
}

void HttpServer::Loop::Work(const ConnectionPtr& connection) {
  std::shared_ptr<RequestReader::Request> request = connection->reader.Take();
  request->message.deadline = Deadline::After(options_.request_time);
  connection->keep_alive = request->keep_alive;
  const bool head_only = request->message.method == "HEAD";
  if (queued_ >= options_.waiting) {
    api_.metrics().Refused("requests");
    return Answer(connection, Overloaded(), request->keep_alive, head_only);
  }
  connection->phase = Phase::kWorking;
  ++queued_;
  workers_->Submit([this, connection, request, head_only] {
    --queued_;
    if (abandoned_) return;
    auto response = std::make_shared<ApiResponse>(api_.Handle(request->message));
    asio::post(io_, [this, connection, response, head_only] {
      if (connection->phase != Phase::kWorking) return;  // closed meanwhile
      Answer(connection, std::move(*response), connection->keep_alive && !stopping_, head_only);
    });
  });
}

// Answers, and closes, for where the next request would begin is not known.
void HttpServer::Loop::Refuse(const ConnectionPtr& connection, ApiResponse response) {
  api_.metrics().Answered("other", response.status, 0);
  Answer(connection, std::move(response), false);
}

void HttpServer::Loop::Answer(const ConnectionPtr& connection, ApiResponse response, bool keep_alive, bool head_only) {
  if (!Charge(connection, connection->reader.buffered() + response.body.size())) {
    api_.metrics().Refused("bytes");
    response = Overloaded();
  }
  AddSafetyHeaders(response);
  connection->phase = Phase::kWriting;
  connection->started = connection->moved = Now();
  connection->keep_alive = keep_alive;
  connection->head = FormatHead(response, keep_alive);
  connection->body = head_only ? std::string() : std::move(response.body);
  connection->sent = 0;
  Write(connection);
}

void HttpServer::Loop::Write(const ConnectionPtr& connection) {
  const std::string& head = connection->head;
  const std::string& body = connection->body;
  const size_t of_head = std::min(connection->sent, head.size());
  const std::array<asio::const_buffer, 2> rest = {asio::buffer(head) + of_head,
                                                  asio::buffer(body) + (connection->sent - of_head)};
  connection->socket.async_write_some(rest, [this, connection](ErrorCode error, size_t size) {
    if (connection->phase != Phase::kWriting) return;
    if (error) return Close(connection);
    connection->moved = Now();
    connection->sent += size;
    if (connection->sent < connection->head.size() + connection->body.size()) return Write(connection);
    connection->head = {};
    connection->body = {};
    connection->started = connection->moved;
    if (!connection->keep_alive) return Drain(connection);
    Received(connection);  // the next request may be here already
  });
}

// Closing a socket that has unread bytes resets it, and the client may then lose the answer: take some of them first.
void HttpServer::Loop::Drain(const ConnectionPtr& connection) {
  if (connection->phase != Phase::kDraining) {
    connection->phase = Phase::kDraining;
    Charge(connection, 0);
    ErrorCode ignored;
    connection->socket.shutdown(tcp::socket::shutdown_send, ignored);
  }
  connection->socket.async_wait(tcp::socket::wait_read, [this, connection](ErrorCode error) {
    if (connection->phase != Phase::kDraining) return;
    const size_t size = error ? 0 : connection->socket.read_some(asio::buffer(buffer_), error);
    connection->drained += size;
    const bool again = error == asio::error::would_block || error == asio::error::interrupted;
    if ((error && !again) || connection->drained > kDrainBytes) return Close(connection);
    Drain(connection);
  });
}

void HttpServer::Loop::Close(const ConnectionPtr& connection) {
  if (connection->phase == Phase::kClosed) return;
  connection->phase = Phase::kClosed;
  Charge(connection, 0);
  ErrorCode ignored;
  connection->socket.close(ignored);
  connections_.erase(ConnectionPtr(connection));  // a copy: the argument may be the set's own
}

// Whether all connections together stay within bounds with `bytes` for this one; small ones always may.
bool HttpServer::Loop::Charge(const ConnectionPtr& connection, uint64_t bytes) {
  buffered_ += bytes - connection->charged;
  connection->charged = bytes;
  constexpr uint64_t kSmall = 64 << 10;
  return bytes <= kSmall || buffered_ <= options_.buffered_bytes;
}

void HttpServer::Loop::Sweep() {
  const Time now = Now();
  for (const ConnectionPtr& connection : std::set(connections_)) CheckTime(connection, now);
  if (stopping_) {
    if (now >= stop_by_) {
      for (const ConnectionPtr& connection : std::set(connections_)) Close(connection);
    }
    if (connections_.empty()) return io_.stop();
  }
  sweep_.expires_after(kSweep);
  sweep_.async_wait([this](ErrorCode error) {
    if (!error) Sweep();
  });
}

void HttpServer::Loop::CheckTime(const ConnectionPtr& connection, Time now) {
  const auto phase_time = now - connection->started;
  const auto still_time = now - connection->moved;
  switch (connection->phase) {
    case Phase::kReading: {
      const RequestReader::State state = connection->reader.state();
      if (state == RequestReader::State::kIdle) {
        if (phase_time > options_.idle_time) Close(connection);
        return;
      }
      const bool late = state == RequestReader::State::kHead
                            ? phase_time > options_.head_time
                            : phase_time > options_.transfer_time || still_time > options_.stall_time;
      if (!late) return;
      ErrorCode ignored;
      connection->socket.cancel(ignored);
      return Refuse(connection, ErrorResponse(408, "deadline_exceeded",
                                              "The request did not arrive in time; send it again, faster."));
    }
    case Phase::kWriting:
      if (phase_time > options_.transfer_time || still_time > options_.stall_time) Close(connection);
      return;
    case Phase::kDraining:
      if (phase_time > kDrainTime) Close(connection);
      return;
    case Phase::kWorking:
    case Phase::kClosed:
      return;
  }
}

HttpServer::HttpServer(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}
HttpServer::~HttpServer() = default;

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(Api& api, const HttpServerOptions& options) {
  auto loop = std::make_unique<Loop>(api, options);
  LIKENESS_RETURN_IF_ERROR(loop->Bind());
  loop->Run();
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(loop)));
}

uint16_t HttpServer::port() const { return loop_->endpoint().port(); }

std::string HttpServer::url() const {
  const asio::ip::address address = loop_->endpoint().address();
  const std::string text = address.is_v6() ? "[" + address.to_string() + "]" : address.to_string();
  return "http://" + text + ":" + std::to_string(port()) + "/";
}

void HttpServer::Stop() { loop_->Stop(); }

}  // namespace likeness
