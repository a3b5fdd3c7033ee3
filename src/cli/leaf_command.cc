// likeness leaf: searches some shards of the current release for roots, until a signal ends it.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "base/log.h"
#include "base/thread_pool.h"
#include "cli/cluster.h"
#include "cli/command.h"
#include "cluster/leaf_server.h"
#include "pipeline/config.h"
#include "pipeline/engines.h"

namespace likeness {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kSignalInterval{50};
constexpr int kFollowEvery = 4;  // signal intervals
constexpr int kStopWait = 20;    // signal intervals

struct LeafFlags {
  LeafServerOptions server;
  ShardChoice choice;
  std::string announce;
  int64_t delay_ms = 0;
};

absl::StatusOr<CommandOutput> RunLeaf(const CommonFlags& common, const LeafFlags& flags) {
  if (flags.choice.of == 0) return absl::InvalidArgumentError("--of must be at least 1");
  for (const std::string& shard : flags.choice.shards) {
    if (!ShardId::Parse(shard)) {
      return absl::InvalidArgumentError("--shard must be like 2026-11-22/00003, not " + shard);
    }
  }
  std::error_code error;
  if (!std::filesystem::is_directory(common.home, error)) {
    return absl::NotFoundError("there is no folder " + common.home.string() +
                               ": make it, with the collection's likeness.toml in it");
  }
  const std::filesystem::path home = std::filesystem::canonical(common.home, error);
  LIKENESS_ASSIGN_OR_RETURN(const Config config, ReadConfig(home / "likeness.toml"));
  LIKENESS_ASSIGN_OR_RETURN(const auto objects, OpenObjects(config.objects, home));

  LeafIndex::Options index_options;
  index_options.choice = flags.choice;
  index_options.choice.index %= flags.choice.of;
  index_options.token_cache_bytes = config.token_cache_bytes;
  LeafIndex index(*objects, index_options);
  LeafServerOptions options = flags.server;
  options.delay = milliseconds(flags.delay_ms);
  if (options.threads == 0) options.threads = config.threads > 0 ? config.threads : AvailableThreads();
  LIKENESS_ASSIGN_OR_RETURN(options.token, ReadClusterToken(config.cluster, home));
  LIKENESS_ASSIGN_OR_RETURN(const auto server, LeafServer::Start(index, options));

  std::unique_ptr<LeafRegistry> registry;
  if (config.cluster.discovery == "nats") {
    std::string address = flags.announce;
    if (address.empty()) {
      if (options.host == "0.0.0.0" || options.host == "::") {
        return absl::InvalidArgumentError("--announce must say at which HOST:PORT roots reach a leaf that listens at " +
                                          options.host);
      }
      address = options.host + ":" + std::to_string(server->port());
    }
    LIKENESS_ASSIGN_OR_RETURN(registry, OpenLeafRegistry(config, home, address));
  }
  std::printf("leaf at %s:%d\n", options.host.c_str(), static_cast<int>(server->port()));
  std::fflush(stdout);
  std::atomic<bool> ended = false;
  std::thread follower([&] {
    absl::Status last;
    while (!StopFlag()) {
      const absl::Status status = index.Follow();
      if (!status.ok() && status != last) {
        Log(LogLevel::kError, "release_not_loaded", {{"reason", MessageOf(status)}});
      }
      last = status;
      server->SetHealthy(!index.All().empty());
      for (int i = 0; i < kFollowEvery && !StopFlag(); ++i) std::this_thread::sleep_for(kSignalInterval);
    }
    ended = true;
  });
  while (!StopFlag()) std::this_thread::sleep_for(kSignalInterval);
  registry = nullptr;  // roots ask others from now on
  server->Stop();
  // What is being loaded may be large, or its store away: a leaf has nothing that would be lost.
  for (int i = 0; i < kStopWait && !ended; ++i) std::this_thread::sleep_for(kSignalInterval);
  if (!ended) {
    std::fputs("stopped\n", stdout);
    std::fflush(stdout);
    std::_Exit(0);
  }
  follower.join();
  return CommandOutput{{{"stopped", true}}, "stopped\n"};
}

}  // namespace

void AddLeafCommand(Program& program) {
  auto flags = std::make_shared<LeafFlags>();
  flags->server.threads = 0;
  CLI::App* command = program.Add("leaf", "Search some shards of the current release for roots",
                                  [&program, flags] { return RunLeaf(program.flags, *flags); });
  command->add_option("--host", flags->server.host, "Address to listen at; beyond loopback a token is needed")
      ->capture_default_str();
  command->add_option("--port", flags->server.port, "Port; 0 takes any that is free")->capture_default_str();
  command->add_option("--of", flags->choice.of, "Leaves that share the shards, replicas not counted")
      ->capture_default_str();
  command
      ->add_option("--index", flags->choice.index,
                   "Which of them this is, from 0; counted round: 5 of 4 is a replica of 1")
      ->capture_default_str();
  command->add_option("--shard", flags->choice.shards, "Shard to serve, like 2026-11-22/00003, instead; repeatable");
  command->add_option("--announce", flags->announce,
                      "HOST:PORT at which roots reach it, where NATS tells them; left out: --host and --port");
  command->add_option("--waiting", flags->server.waiting, "Queries that may wait; more are sent back")
      ->capture_default_str();
  command->add_option("--threads", flags->server.threads, "Queries at once; 0: as `threads` of likeness.toml")
      ->capture_default_str();
  command->add_option("--delay-ms", flags->delay_ms, "")->group("");  // for tests: before every query
}

}  // namespace likeness
