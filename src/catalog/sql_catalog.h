// The catalog on a database that speaks SQL. What each function promises stands in catalog.h.
#pragma once

#include <memory>

#include "catalog/catalog.h"
#include "catalog/session_pool.h"

namespace likeness {

class SqlCatalog final : public Catalog {
 public:
  explicit SqlCatalog(std::unique_ptr<SessionPool> pool) : pool_(std::move(pool)) {}

  // Makes or updates the tables.
  absl::Status Prepare();

  // sql_images.cc
  absl::StatusOr<std::vector<std::optional<SourceRecord>>> Sources(std::span<const std::string> paths) override;
  absl::StatusOr<std::vector<std::string>> Paths(const Signature& signature) override;
  absl::Status Record(std::span<const Addition> additions) override;
  absl::StatusOr<CatalogCounts> Counts() override;
  absl::StatusOr<std::optional<ImageRecord>> Image(const Signature& signature) override;
  absl::StatusOr<std::vector<ImageRecord>> Images(std::span<const Signature> signatures) override;
  absl::StatusOr<std::vector<Quarantined>> Quarantine(uint64_t limit) override;
  absl::Status QuarantineImage(const Signature& signature, const ImageFault& fault) override;

  // sql_pins.cc
  absl::StatusOr<std::vector<std::optional<uint64_t>>> PinDigests(std::span<const std::string> ids) override;
  absl::StatusOr<std::vector<Pin>> Pins(std::span<const Signature> signatures) override;
  absl::StatusOr<std::vector<Board>> Boards() override;
  absl::StatusOr<std::vector<Signature>> Match(const PinFilter& filter) override;
  absl::StatusOr<std::vector<Signature>> Unpinned() override;
  absl::StatusOr<bool> Remove(const Signature& signature) override;
  absl::StatusOr<std::vector<Signature>> Removed() override;
  absl::StatusOr<uint64_t> HiddenChanges() override;

  // sql_shards.cc
  absl::StatusOr<std::vector<ShardRecord>> CutShards(uint64_t most) override;
  absl::StatusOr<std::vector<ShardRecord>> Shards() override;
  absl::StatusOr<std::vector<Signature>> ShardSignatures(const ShardId& shard) override;
  absl::StatusOr<std::vector<ImageRecord>> ShardImages(const ShardId& shard,
                                                       std::span<const Signature> signatures) override;

  // sql_workers.cc
  absl::Status Heartbeat(const WorkerBeat& beat) override;
  absl::StatusOr<std::vector<WorkerBeat>> Workers(std::chrono::seconds within) override;
  absl::Status RecordRate(const FeatureRate& spent) override;
  absl::StatusOr<std::vector<FeatureRate>> Rates() override;

 private:
  std::unique_ptr<SessionPool> pool_;
};

}  // namespace likeness
