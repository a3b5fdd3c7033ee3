#include "cli/cluster.h"

#include "cluster/remote_searcher.h"
#include "pipeline/engines.h"
#include "serve/access.h"

namespace likeness {

absl::StatusOr<std::string> ReadClusterToken(const ClusterConfig& config, const std::filesystem::path& home) {
  if (config.token_file.empty()) return std::string();
  return ReadToken(home / config.token_file);
}

absl::StatusOr<std::unique_ptr<LeafRegistry>> OpenLeafRegistry(const Config& config, const std::filesystem::path& home,
                                                               const std::string& address) {
  LIKENESS_ASSIGN_OR_RETURN(const NatsOptions nats, ReadNatsOptions(config.queue, home));
  const std::chrono::milliseconds alive(static_cast<int64_t>(config.cluster.alive_seconds * 1000));
  return LeafRegistry::Open(nats, alive, address);
}

absl::StatusOr<std::unique_ptr<Searcher>> ConnectLeaves(const Home& home) {
  const ClusterConfig& config = home.config().cluster;
  RemoteOptions options;
  if (config.discovery == "nats") {
    LIKENESS_ASSIGN_OR_RETURN(std::shared_ptr<LeafRegistry> registry, OpenLeafRegistry(home.config(), home.path(), ""));
    options.leaves = [registry = std::move(registry)] { return registry->Leaves(); };
  } else if (config.leaves.empty()) {
    return absl::InvalidArgumentError(
        "no leaves are named: set leaves = [\"HOST:PORT\", ...] or discovery = \"nats\" in [cluster] of likeness.toml");
  } else {
    options.leaves = [leaves = config.leaves] { return leaves; };
  }
  LIKENESS_ASSIGN_OR_RETURN(options.token, ReadClusterToken(config, home.path()));
  options.patience = std::chrono::milliseconds(static_cast<int64_t>(config.patience_seconds * 1000));
  return RemoteSearcher::Start(std::move(options));
}

}  // namespace likeness
