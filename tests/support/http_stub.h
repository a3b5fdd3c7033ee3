// An HTTP/1.1 server for tests, on a free port of 127.0.0.1: a function answers each request. It can also misbehave.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace likeness {

struct StubRequest {
  std::string method, path, query;                  // as they came, encoded
  std::map<std::string, std::string> headers = {};  // names in lower case
  std::string body = {};

  std::string Header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
  }
};

struct StubReply {
  int status = 200;
  std::map<std::string, std::string> headers = {};
  std::string body = {};
  std::chrono::milliseconds delay{0};  // before it is sent
  bool drop = false;                   // the connection is closed instead
  size_t missing = 0;                  // so many bytes of the body are announced and not sent
};

// Answers from construction to destruction; `answer` is called from several threads.
class HttpStub {
 public:
  explicit HttpStub(std::function<StubReply(const StubRequest&)> answer) : answer_(std::move(answer)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0 && ::listen(listener_, 64) == 0) {
      ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
      port_ = ntohs(address.sin_port);
    }
    acceptor_ = std::thread([this] { Accept(); });
  }

  ~HttpStub() {
    closing_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    {
      const std::lock_guard lock(mutex_);
      for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
    }
    for (std::thread& thread : connections_) thread.join();
    ::close(listener_);
  }

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  void Accept() {
    while (true) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      const int yes = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
      const std::lock_guard lock(mutex_);
      open_.push_back(fd);
      connections_.emplace_back([this, fd] {
        std::string kept;
        while (One(fd, kept)) {
        }
        const std::lock_guard lock(mutex_);
        std::erase(open_, fd);
        ::close(fd);
      });
    }
  }

  static bool More(int fd, std::string& kept) {
    char buffer[65536];
    const ssize_t got = ::recv(fd, buffer, sizeof(buffer), 0);
    if (got <= 0) return false;
    kept.append(buffer, static_cast<size_t>(got));
    return true;
  }

  // One request and its answer; false when the connection ends.
  bool One(int fd, std::string& kept) {
    size_t end = 0;
    while ((end = kept.find("\r\n\r\n")) == std::string::npos) {
      if (!More(fd, kept)) return false;
      if (kept[0] == 0x16) {  // A client that speaks TLS.
        const std::string_view refusal = "HTTP/1.1 400 Bad Request\r\n\r\n";
        (void)::send(fd, refusal.data(), refusal.size(), MSG_NOSIGNAL);
        ::shutdown(fd, SHUT_RDWR);
        return false;
      }
    }
    StubRequest request;
    const size_t first = kept.find(' '), second = kept.find(' ', first + 1);
    request.method = kept.substr(0, first);
    request.path = kept.substr(first + 1, second - first - 1);
    if (const size_t mark = request.path.find('?'); mark != std::string::npos) {
      request.query = request.path.substr(mark + 1);
      request.path.resize(mark);
    }
    for (size_t line = kept.find("\r\n") + 2; line < end;) {
      const size_t stop = kept.find("\r\n", line), colon = kept.find(':', line);
      std::string name = kept.substr(line, colon - line);
      std::ranges::transform(name, name.begin(), ::tolower);
      request.headers[name] = kept.substr(colon + 2, stop - colon - 2);
      line = stop + 2;
    }
    const size_t size = request.Header("content-length").empty() ? 0 : std::stoull(request.Header("content-length"));
    kept.erase(0, end + 4);
    while (kept.size() < size) {
      if (!More(fd, kept)) return false;
    }
    request.body = kept.substr(0, size);
    kept.erase(0, size);

    const StubReply reply = answer_(request);
    const auto until = std::chrono::steady_clock::now() + reply.delay;
    while (!closing_ && std::chrono::steady_clock::now() < until)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    if (reply.drop) {
      ::shutdown(fd, SHUT_RDWR);
      return false;
    }
    std::string text = "HTTP/1.1 " + std::to_string(reply.status) + " X\r\n";
    for (const auto& [name, value] : reply.headers) text += name + ": " + value + "\r\n";
    if (!reply.headers.contains("content-length")) {
      text += "content-length: " + std::to_string(reply.body.size() + reply.missing) + "\r\n";
    }
    text += "\r\n" + (request.method == "HEAD" ? "" : reply.body);
    for (size_t sent = 0; sent < text.size();) {
      const ssize_t count = ::send(fd, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
      if (count <= 0) return false;
      sent += static_cast<size_t>(count);
    }
    if (reply.missing > 0) ::shutdown(fd, SHUT_RDWR);
    return reply.missing == 0;
  }

  const std::function<StubReply(const StubRequest&)> answer_;
  std::atomic<bool> closing_ = false;
  int listener_ = -1;
  int port_ = 0;
  std::thread acceptor_;
  std::mutex mutex_;
  std::vector<int> open_;                 // guarded by mutex_
  std::vector<std::thread> connections_;  // guarded by mutex_ until the acceptor has ended
};

}  // namespace likeness
