// kill -9 of a server that takes pictures in and lets them go: what it has acknowledged is so after a restart.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <signal.h>

#include <atomic>
#include <fstream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "base/file.h"
#include "base/random.h"
#include "tests/fault/collection.h"
#include "tests/fault/process.h"
#include "tests/support/odd_files.h"
#include "tests/support/scratch_folder.h"
#include "tests/support/tiny_model.h"
#include "types/signature.h"

namespace likeness {
namespace {

using nlohmann::json;

constexpr int kRounds = 4;

// `likeness serve` on the home, once it answers.
class Server {
 public:
  Server(const std::filesystem::path& home, const std::filesystem::path& log)
      : process_(LIKENESS_BINARY, {"--home", home.string(), "serve", "--port", "0"}, log) {
    for (int i = 0; i < 600 && port_ == 0; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      std::ifstream lines(log);
      for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("serving ")) port_ = std::atoi(line.c_str() + line.rfind(':') + 1);
      }
    }
  }
  int port() const { return port_; }
  void Kill() {
    process_.Signal(SIGKILL);
    process_.Wait();
  }

 private:
  Process process_;
  int port_ = 0;
};

std::string Picture(int i) { return MakeJpeg(i, 90, 70); }
std::string Hex(int i) { return Signature::Of(AsBytes(Picture(i))).Hex(); }

// How often a search for the picture, by its bytes, has it among its hits: as nothing is nearer to it, among the first.
int TimesFound(int port, int i) {
  httplib::Client client("127.0.0.1", port);
  client.set_read_timeout(30);
  const auto answer = client.Post("/v1/search?k=20", Picture(i), "image/jpeg");
  EXPECT_TRUE(answer && answer->status == 200) << (answer ? answer->body : "no answer");
  if (!answer || answer->status != 200) return -1;
  const json body = json::parse(answer->body);
  int found = 0;
  for (const auto& hit : body["results"]) found += hit["signature"] == Hex(i) ? 1 : 0;
  return found;
}

// How often each picture of the collection is listed.
std::map<std::string, int> Listed(int port) {
  httplib::Client client("127.0.0.1", port);
  client.set_read_timeout(30);
  std::map<std::string, int> listed;
  for (size_t offset = 0;; offset += 1000) {
    const auto answer = client.Get("/v1/images?limit=1000&offset=" + std::to_string(offset));
    EXPECT_TRUE(answer && answer->status == 200);
    if (!answer || answer->status != 200) return listed;
    const json body = json::parse(answer->body);
    for (const auto& image : body["images"]) ++listed[image["signature"]];
    if (body["images"].size() < 1000) return listed;
  }
}

// Every picture is in or out, as it was acknowledged: in the list, and by a search.
void Check(int port, const std::map<int, bool>& there) {
  auto listed = Listed(port);
  for (const auto& [i, in] : there) {
    EXPECT_EQ(listed[Hex(i)], in ? 1 : 0) << "picture " << i;
    EXPECT_EQ(TimesFound(port, i), in ? 1 : 0) << "picture " << i;
  }
}

TEST(Online, WhatAServerAcknowledgedStandsAfterKillNine) {
  const uint64_t seed = std::random_device{}();
  std::cout << "seed " << seed << "\n";
  Random random(seed);
  const ScratchFolder scratch;
  const auto home = scratch.path() / "home", pictures = scratch.path() / "pictures";
  const std::string toml =
      "threads = 2\n[deep]\nmodels = [\"tiny\"]\ncode_bits = 64\n[features]\ntypes = [\"deep\", \"pdq\"]\n";
  ASSERT_TRUE(WriteFileAtomic(home / "likeness.toml", AsBytes(toml)).ok());
  ASSERT_TRUE(InstallTinyModel(home / "models", "tiny").ok());
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(WriteFileAtomic(pictures / (std::to_string(i) + ".jpg"), AsBytes(Picture(i))).ok());
  }
  const std::string at = home.string();
  for (const auto& command : {std::vector<std::string>{"add", pictures.string()}, {"fingerprint"}, {"index"}}) {
    std::vector<std::string> arguments = {"--home", at};
    arguments.insert(arguments.end(), command.begin(), command.end());
    ASSERT_EQ(RunLikeness(arguments).exit_code, 0) << command[0];
  }

  std::map<int, bool> there;  // what was acknowledged: in or out
  for (int i = 0; i < 10; ++i) there[i] = true;
  std::atomic<int> next = 10;
  for (int round = 0; round < kRounds; ++round) {
    Server server(home, scratch.path() / ("log" + std::to_string(round)));
    ASSERT_NE(server.port(), 0) << "the server did not start";
    Check(server.port(), there);
    std::mutex mutex;
    std::atomic<bool> dead = false;
    std::atomic<int> acknowledged = 0;
    std::vector<std::thread> clients;
    for (int c = 0; c < 3; ++c) {
      clients.emplace_back([&] {
        httplib::Client client("127.0.0.1", server.port());
        client.set_read_timeout(30);
        while (!dead) {
          const int i = next++;
          const auto added = client.Post("/v1/images", Picture(i), "image/jpeg");
          if (!added) return;  // it is dead: nothing is known of this one
          if (added->status != 201) continue;
          ++acknowledged;
          {
            const std::lock_guard lock(mutex);
            there[i] = true;
          }
          if (i % 3 != 0) continue;
          // From here on it may be gone or not, until the answer says that it is.
          {
            const std::lock_guard lock(mutex);
            there.erase(i);
          }
          const auto removed = client.Delete("/v1/images/" + Hex(i));
          if (!removed) return;
          const std::lock_guard lock(mutex);
          there[i] = removed->status != 200;
        }
      });
    }
    // At a random moment, once some have come in.
    for (int i = 0; i < 600 && acknowledged < 8; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 700));
    server.Kill();
    dead = true;
    for (std::thread& client : clients) client.join();
  }
  EXPECT_GT(there.size(), 20u) << "too few pictures came in to show anything";

  // The next release has what is left, each once, and nothing was computed twice for it.
  const ProcessResult run = RunLikeness({"--home", at, "fingerprint", "--json"});
  ASSERT_EQ(run.exit_code, 0);
  EXPECT_EQ(run.LastLine()["computed"], 0) << run.LastLine().dump();
  ASSERT_EQ(RunLikeness({"--home", at, "index"}).exit_code, 0);
  Server server(home, scratch.path() / "log");
  Check(server.port(), there);
  server.Kill();
}

}  // namespace
}  // namespace likeness
