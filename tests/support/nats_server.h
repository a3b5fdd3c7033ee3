// A NATS server of a test's own on loopback, with settings that the shared ones do not have.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <string>
#include <thread>

#include "support/scratch_folder.h"

namespace likeness {

// `configuration`: lines of nats-server's own language.
class OwnNatsServer {
 public:
  explicit OwnNatsServer(const std::string& configuration) {
    const int probe = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ::bind(probe, reinterpret_cast<sockaddr*>(&address), size);
    ::getsockname(probe, reinterpret_cast<sockaddr*>(&address), &size);
    ::close(probe);
    port_ = ntohs(address.sin_port);
    const std::string file = (folder_.path() / "server.conf").string();
    std::ofstream(file) << "listen: 127.0.0.1:" << port_ << "\n" << configuration << "\n";
    process_ = ::fork();
    if (process_ == 0) {
      ::dup2(::open("/dev/null", O_WRONLY), STDERR_FILENO);
      ::execlp("nats-server", "nats-server", "-c", file.c_str(), nullptr);
      ::_exit(127);
    }
    for (int i = 0; i < 200; ++i) {
      const int client = ::socket(AF_INET, SOCK_STREAM, 0);
      const bool up = ::connect(client, reinterpret_cast<sockaddr*>(&address), size) == 0;
      ::close(client);
      if (up) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
  ~OwnNatsServer() {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }
  std::string url() const { return "nats://127.0.0.1:" + std::to_string(port_); }

 private:
  ScratchFolder folder_;
  int port_ = 0;
  pid_t process_ = -1;
};

}  // namespace likeness
