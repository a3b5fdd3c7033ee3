// What [cluster] of the configuration means for the commands.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "cluster/registry.h"
#include "pipeline/home.h"
#include "rank/searcher.h"

namespace likeness {

// The token that leaves want, or nothing. Relative paths are meant from `home`.
absl::StatusOr<std::string> ReadClusterToken(const ClusterConfig& config, const std::filesystem::path& home);

// With discovery "nats". `address`: of this leaf; empty for a root.
absl::StatusOr<std::unique_ptr<LeafRegistry>> OpenLeafRegistry(const Config& config, const std::filesystem::path& home,
                                                               const std::string& address);

// The leaves of a root.
absl::StatusOr<std::unique_ptr<Searcher>> ConnectLeaves(const Home& home);

}  // namespace likeness
