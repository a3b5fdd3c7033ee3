// One leaf, as a root knows it: where it is, what it serves, whether it answers, and how fast.
#pragma once

#include <grpcpp/grpcpp.h>
#include <leaf.grpc.pb.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/status.h"

namespace likeness {

// What a leaf said of itself last; never changes.
struct LeafDescription {
  struct Release {
    std::string name;
    std::vector<uint32_t> segments;  // ascending
    std::vector<std::string> problems;
  };
  std::vector<Release> releases;  // the current one first
  uint64_t waiting = 0, searched = 0, refused = 0, late = 0;

  const Release* Find(std::string_view release) const;
};

// Any thread, except that its last owner must not be a callback of its own.
class LeafLink {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // One query on its way. Whoever made it keeps it until the callback, which owns a share of it too.
  struct Call {
    grpc::ClientContext context;
    v1::SearchRequest request;
    v1::SearchReply reply;
    absl::Status status;
    Time began;
  };

  // `address`: "host:port". `token`: empty where none is wanted.
  LeafLink(std::string address, std::string token);
  // Cancels what is under way and waits until it has ended, so that no thread of the library outlives its users.
  ~LeafLink();
  LeafLink(const LeafLink&) = delete;
  LeafLink& operator=(const LeafLink&) = delete;

  const std::string& address() const { return address_; }

  // Asks the leaf what it serves unless a question is under way already, and says that this root is at `release`.
  void Probe(const std::string& release);
  // Null before the first answer.
  std::shared_ptr<const LeafDescription> description() const;
  // How often what the leaf serves has changed.
  uint64_t version() const;
  // Whether it is worth asking.
  bool up() const;
  // Why not, for people: "leaf 10.0.0.7:8485 cannot be reached".
  std::string Trouble() const;

  // Sends the call, whose request and deadline are set; `done` comes from a thread of the library, once.
  void Search(std::shared_ptr<Call> call, std::function<void()> done);

  // How long one would wait for the leaf, as far as is known; smaller is better.
  double Load() const;
  // Within which 95 of 100 of its last answers came, in milliseconds; `unknown` before there are some.
  double Percentile95(double unknown) const;

  // Filters: whether the leaf has been sent the one with that digest, and what to remember of it.
  bool Sent(uint64_t digest) const;
  void Remember(uint64_t digest);
  void ForgetFilters();

  struct Counts {
    uint64_t calls = 0, failures = 0, in_flight = 0;
    double p95 = 0;  // milliseconds
  };
  Counts counts() const;

 private:
  static constexpr size_t kRecent = 128;

  void Answered(const absl::Status& status, double milliseconds, bool search);
  void Described(std::shared_ptr<const LeafDescription> said);  // null: it did not answer
  void Learn(double milliseconds, Time now);                    // with mutex_ held
  void Begin(std::shared_ptr<grpc::ClientContext> context);
  void End(const grpc::ClientContext* context);
  double Percentile95Locked(double unknown) const;

  const std::string address_;
  const std::string token_;
  const std::unique_ptr<v1::Leaf::Stub> stub_;
  mutable std::mutex mutex_;
  std::condition_variable ended_;
  // All of the following are guarded by mutex_.
  std::map<const grpc::ClientContext*, std::shared_ptr<grpc::ClientContext>> under_way_;
  std::shared_ptr<const LeafDescription> description_;
  uint64_t version_ = 0;
  bool probing_ = false;
  bool up_ = false;
  int failures_ = 0;  // since the last answer
  absl::Status trouble_ = absl::UnavailableError("has not been reached yet");
  Time last_answer_{};
  double mean_ = 0;  // of its answers, in milliseconds, the latest counting most
  Time mean_at_{};
  std::array<float, kRecent> recent_{};
  uint64_t answers_ = 0;
  Counts counts_;
  std::unordered_set<uint64_t> sent_;
};

}  // namespace likeness
