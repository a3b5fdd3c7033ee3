// The engines that a configuration chooses: for each need one that is embedded in the home, and one on servers.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "catalog/catalog.h"
#include "object/object_store.h"
#include "pipeline/config.h"
#include "queue/nats_queue.h"
#include "queue/queue.h"

namespace likeness {

// `home`: the folder in which the embedded engines keep their files, and relative paths of the configuration are meant.
// Errors: within 5 s, one sentence that begins with the section and its address: those of the engines.
absl::StatusOr<std::unique_ptr<ObjectStore>> OpenObjects(const ObjectsConfig& config,
                                                         const std::filesystem::path& home);
absl::StatusOr<std::unique_ptr<Catalog>> OpenCatalog(const CatalogConfig& config, const std::filesystem::path& home);
absl::StatusOr<std::unique_ptr<Queue>> OpenQueue(const QueueConfig& config, const std::filesystem::path& home);

// How the NATS servers of the configuration are reached. Errors: those of reading its secrets; InvalidArgument when the
// queue is not on NATS.
absl::StatusOr<NatsOptions> ReadNatsOptions(const QueueConfig& config, const std::filesystem::path& home);

// For tests, before threads are there: the stores that are opened from now on are what `wrap` makes of them; with null,
// themselves again.
void WrapObjects(std::function<std::unique_ptr<ObjectStore>(std::unique_ptr<ObjectStore>)> wrap);

// An address, or several joined by commas, as it may be shown: without what stands before an '@' (a name, a password or
// a token), and without options.
std::string WithoutSecrets(std::string_view addresses);

}  // namespace likeness
