// A small collection, and the program's leaves, root and server on it as real processes.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "pipeline/home.h"
#include "support/scratch_folder.h"
#include "tests/fault/collection.h"

namespace likeness {

// Pictures with a deep feature of a tiny model and colors, in shards of 20; picture i is on board "even" or "odd" and
// is described as "picture word<i>". `sections` are added to likeness.toml.
class SmallCollection {
 public:
  explicit SmallCollection(std::string sections = "");

  const std::filesystem::path& home() const { return home_; }
  std::filesystem::path log(const std::string& name) const { return folder_.path() / (name + ".log"); }
  void SetCluster(const std::string& section) const;  // [cluster] of likeness.toml from now on

  // Adds pictures begin..end - 1, computes them and makes a release, which does not serve yet. Returns its name.
  std::string AddRelease(int begin, int end);
  void Switch(const std::string& release);

  static std::string Picture(int i);
  static std::string SignatureOf(int i);
  // The signatures of a release in each of its shards.
  std::vector<std::set<std::string>> Shards(const std::string& release);
  Home& opened() { return *opened_; }

 private:
  const ScratchFolder folder_;
  const std::filesystem::path home_ = folder_.path() / "home";
  const std::string sections_;
  std::unique_ptr<Home> opened_;
};

// A process that has said where it listens.
class Listener {
 public:
  Listener(const SmallCollection& collection, const std::string& name, const std::vector<std::string>& arguments);
  int port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  Process& process() { return *process_; }
  std::string Log() const;
  // Until the log has the text; false after 20 s.
  bool Await(const std::string& text) const;
  // SIGTERM; the seconds until the process had ended, with exit code 0. Fails the test otherwise.
  double End();

 private:
  std::filesystem::path log_;
  std::unique_ptr<Process> process_;
  int port_ = 0;
};

// `likeness leaf` for every of-th shard, with its release open.
std::unique_ptr<Listener> StartLeaf(const SmallCollection& collection, int of, int index,
                                    std::vector<std::string> more = {});
// `likeness root` and `likeness serve`.
std::unique_ptr<Listener> StartFace(const SmallCollection& collection, const std::string& command);

// The answer to POST /v1/search, without its times; what went wrong under "failed" instead.
nlohmann::json Search(int port, const nlohmann::json& query);

// One answer under load.
struct Timed {
  size_t query = 0;  // index into the queries
  double at = 0;     // seconds since the start when it was due
  double ms = 0;     // from then to its answer
  nlohmann::json answer;
};

// Queries in turn, `rate` a second whether or not earlier ones are answered, for so many seconds; meanwhile `event`
// is called by this thread.
std::vector<Timed> Load(int port, const std::vector<nlohmann::json>& queries, double rate, double seconds,
                        const std::function<void()>& event);

double Percentile99(const std::vector<Timed>& answers);

}  // namespace likeness
