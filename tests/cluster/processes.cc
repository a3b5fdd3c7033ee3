#include "tests/cluster/processes.h"

#include <gtest/gtest.h>
#include <httplib.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <sstream>
#include <thread>

#include "base/file.h"
#include "pipeline/add.h"
#include "pipeline/fingerprint.h"
#include "pipeline/open_snapshot.h"
#include "pipeline/releases.h"
#include "support/odd_files.h"
#include "support/tiny_model.h"

namespace likeness {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

double SecondsSince(steady_clock::time_point begin) {
  return std::chrono::duration<double>(steady_clock::now() - begin).count();
}

constexpr const char* kToml =
    "threads = 2\n[deep]\nmodels = [\"tiny\"]\ncode_bits = 64\n[features]\ntypes = [\"deep\", \"color\"]\n"
    "[fingerprint]\nshard_images = 20\n";

}  // namespace

SmallCollection::SmallCollection(std::string sections) : sections_(std::move(sections)) {
  SetCluster("");
  EXPECT_TRUE(InstallTinyModel(home_ / "models", "tiny").ok());
  auto home = Home::Open(home_, true);
  EXPECT_TRUE(home.ok()) << home.status();
  if (home.ok()) opened_ = *std::move(home);
}

void SmallCollection::SetCluster(const std::string& section) const {
  EXPECT_TRUE(WriteFileAtomic(home_ / "likeness.toml", AsBytes(kToml + sections_ + section)).ok());
}

std::string SmallCollection::Picture(int i) { return MakeJpeg(static_cast<uint64_t>(i), 60, 40); }
std::string SmallCollection::SignatureOf(int i) { return Signature::Of(AsBytes(Picture(i))).Hex(); }

std::string SmallCollection::AddRelease(int begin, int end) {
  std::string lines;
  for (int i = begin; i < end; ++i) {
    const std::string number = std::to_string(i);
    EXPECT_TRUE(WriteFileAtomic(folder_.path() / "pictures" / ("p" + number + ".jpg"), AsBytes(Picture(i))).ok());
    lines += "{\"pin\":" + number + ",\"image\":\"p" + number + ".jpg\",\"board\":\"" + (i % 2 == 0 ? "even" : "odd") +
             "\",\"description\":\"picture word" + number + "\"}\n";
  }
  std::istringstream stream(lines);
  EXPECT_TRUE(AddLines(*opened_, stream, folder_.path() / "pictures", {}, {}).ok());
  const auto run = RunFingerprint(*opened_, *CurrentExtractors(*opened_), {});
  EXPECT_TRUE(run.ok()) << run.status();
  const auto report = CreateRelease(*opened_, *BuildFeatures(*opened_, run->features), {});
  EXPECT_TRUE(report.ok()) << report.status();
  return (*report)->release.name;
}

void SmallCollection::Switch(const std::string& release) {
  const auto switched = SwitchRelease(*opened_, release);
  EXPECT_TRUE(switched.ok()) << switched.status();
}

std::vector<std::set<std::string>> SmallCollection::Shards(const std::string& release) {
  const auto snapshot = OpenSnapshot(*opened_, *ReadRelease(opened_->objects(), release));
  EXPECT_TRUE(snapshot.ok()) << snapshot.status();
  std::vector<std::set<std::string>> shards;
  for (const auto& segment : (*snapshot)->segments()) {
    shards.emplace_back();
    for (const Signature& signature : segment->signatures()) shards.back().insert(signature.Hex());
  }
  return shards;
}

Listener::Listener(const SmallCollection& collection, const std::string& name,
                   const std::vector<std::string>& arguments) {
  static std::atomic<int> number = 0;
  log_ = collection.log(name + std::to_string(number++));
  std::vector<std::string> all = {"--home", collection.home().string()};
  all.insert(all.end(), arguments.begin(), arguments.end());
  process_ = std::make_unique<Process>(LIKENESS_BINARY, all, log_);
  const std::string before = name == "leaf" ? "leaf at 127.0.0.1:" : "serving http://127.0.0.1:";
  const bool said = Await(before);
  EXPECT_TRUE(said) << Log();
  if (!said) return;
  const std::string text = Log();
  port_ = std::atoi(text.c_str() + text.find(before) + before.size());
}

std::string Listener::Log() const { return ReadFile(log_).value_or(""); }

bool Listener::Await(const std::string& text) const {
  const auto begin = steady_clock::now();
  while (Log().find(text) == std::string::npos) {
    if (SecondsSince(begin) > 20 || !process_->Running()) return Log().find(text) != std::string::npos;
    std::this_thread::sleep_for(milliseconds(10));
  }
  return true;
}

double Listener::End() {
  const auto begin = steady_clock::now();
  process_->Signal(SIGTERM);
  while (process_->Running() && SecondsSince(begin) < 30) std::this_thread::sleep_for(milliseconds(5));
  EXPECT_FALSE(process_->Running()) << "it has not ended";
  const double seconds = SecondsSince(begin);
  if (!process_->Running()) {
    EXPECT_EQ(process_->Wait(), 0) << Log();
  }
  return seconds;
}

std::unique_ptr<Listener> StartLeaf(const SmallCollection& collection, int of, int index,
                                    std::vector<std::string> more) {
  std::vector<std::string> arguments = {
      "leaf", "--port", "0", "--of", std::to_string(of), "--index", std::to_string(index)};
  arguments.insert(arguments.end(), more.begin(), more.end());
  auto leaf = std::make_unique<Listener>(collection, "leaf", arguments);
  EXPECT_TRUE(leaf->Await("release_loaded")) << leaf->Log();
  return leaf;
}

std::unique_ptr<Listener> StartFace(const SmallCollection& collection, const std::string& command) {
  return std::make_unique<Listener>(collection, command, std::vector<std::string>{command, "--port", "0"});
}

nlohmann::json Search(int port, const json& query) {
  httplib::Client client("127.0.0.1", port);
  client.set_read_timeout(30, 0);
  const auto answer = client.Post("/v1/search", query.dump(), "application/json");
  if (!answer) return {{"failed", httplib::to_string(answer.error())}};
  json body = json::parse(answer->body, nullptr, false);
  if (answer->status != 200 || !body.is_object()) return {{"failed", answer->body}};
  body.erase("ms");
  return body;
}

std::vector<Timed> Load(int port, const std::vector<json>& queries, double rate, double seconds,
                        const std::function<void()>& event) {
  constexpr int kClients = 48;
  const size_t count = static_cast<size_t>(rate * seconds);
  std::vector<Timed> answers(count);
  std::atomic<size_t> next = 0;
  const auto begin = steady_clock::now();
  std::vector<std::thread> clients;
  for (int client = 0; client < kClients; ++client) {
    clients.emplace_back([&] {
      for (size_t i = next++; i < count; i = next++) {
        Timed& one = answers[i];
        one.query = i % queries.size();
        one.at = static_cast<double>(i) / rate;
        const auto due = begin + std::chrono::microseconds(static_cast<int64_t>(1e6 * one.at));
        std::this_thread::sleep_until(due);
        one.answer = Search(port, queries[one.query]);
        one.ms = 1000 * SecondsSince(due);
      }
    });
  }
  event();
  for (std::thread& client : clients) client.join();
  return answers;
}

double Percentile99(const std::vector<Timed>& answers) {
  std::vector<double> times;
  for (const Timed& one : answers) times.push_back(one.ms);
  std::ranges::sort(times);
  return times[times.size() * 99 / 100];
}

}  // namespace likeness
