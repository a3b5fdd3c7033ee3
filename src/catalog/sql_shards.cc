#include <algorithm>
#include <map>

#include "catalog/recorder.h"
#include "catalog/rows.h"
#include "catalog/sql_catalog.h"

namespace likeness {
namespace {

constexpr int kPage = 100'000;  // rows that are fetched at once: PostgreSQL's client holds a whole answer in memory

// Where a shard's images are: those of its epoch with a number in [first, last].
struct Range {
  int epoch = 0;
  long long first = 0, last = -1;

  // Empty when there is no such shard.
  static Range Of(soci::session& session, const ShardId& shard) {
    Range range;
    range.epoch = EpochColumn(shard.epoch);
    const int number = static_cast<int>(shard.shard);
    session << "SELECT first, last FROM shards WHERE epoch = :epoch AND shard = :shard", soci::use(range.epoch),
        soci::use(number), soci::into(range.first), soci::into(range.last);
    return range;
  }
};

// The numbers of the images that belong to no shard, by epoch, ascending.
std::map<int, std::vector<long long>> Uncut(soci::session& session, long long from) {
  std::map<int, std::vector<long long>> by_epoch;
  long long next = from, number = 0;
  int epoch = 0, page = kPage;
  soci::statement select =
      (session.prepare << "SELECT number, epoch FROM images WHERE number >= :next ORDER BY number LIMIT :page",
       soci::use(next), soci::use(page), soci::into(number), soci::into(epoch));
  for (int rows = kPage; rows == kPage;) {
    rows = 0;
    for (bool more = select.execute(true); more; more = select.fetch(), ++rows) by_epoch[epoch].push_back(number);
    next = number + 1;
  }
  return by_epoch;
}

}  // namespace

absl::StatusOr<std::vector<ShardRecord>> SqlCatalog::CutShards(uint64_t most) {
  if (most == 0) return absl::InvalidArgumentError("a shard must have room for an image");
  std::vector<ShardRecord> cut;
  LIKENESS_RETURN_IF_ERROR(pool_->Write([&](soci::session& session) -> absl::Status {
    cut.clear();
    CatalogState state = CatalogState::Lock(session, pool_->dialect());
    if (state.uncut == state.next_image) return absl::OkStatus();
    for (const auto& [epoch, numbers] : Uncut(session, state.uncut)) {
      int shard = 0;
      session << "SELECT coalesce(max(shard), -1) FROM shards WHERE epoch = :epoch", soci::use(epoch),
          soci::into(shard);
      const size_t shards = (numbers.size() + most - 1) / most;
      for (size_t i = 0; i < shards; ++i) {
        const size_t begin = numbers.size() * i / shards, end = numbers.size() * (i + 1) / shards;
        const auto images = static_cast<long long>(end - begin);
        ++shard;
        session << "INSERT INTO shards (epoch, shard, first, last, images) VALUES (:epoch, :shard, :first, :last,"
                   " :images)",
            soci::use(epoch), soci::use(shard), soci::use(numbers[begin]), soci::use(numbers[end - 1]),
            soci::use(images);
        cut.push_back({{EpochOf(epoch), static_cast<uint32_t>(shard)}, static_cast<uint64_t>(images)});
      }
    }
    state.uncut = state.next_image;
    state.Save(session);
    return absl::OkStatus();
  }));
  return cut;
}

absl::StatusOr<std::vector<ShardRecord>> SqlCatalog::Shards() {
  std::vector<ShardRecord> shards;
  LIKENESS_RETURN_IF_ERROR(pool_->Read([&](soci::session& session) -> absl::Status {
    shards.clear();
    int epoch = 0, number = 0;
    long long images = 0;
    soci::statement select = (session.prepare << "SELECT epoch, shard, images FROM shards ORDER BY epoch, shard",
                              soci::into(epoch), soci::into(number), soci::into(images));
    for (bool more = select.execute(true); more; more = select.fetch()) {
      shards.push_back({{EpochOf(epoch), static_cast<uint32_t>(number)}, static_cast<uint64_t>(images)});
    }
    return absl::OkStatus();
  }));
  return shards;
}

absl::StatusOr<std::vector<Signature>> SqlCatalog::ShardSignatures(const ShardId& shard) {
  std::vector<Signature> signatures;
  LIKENESS_RETURN_IF_ERROR(pool_->Read([&](soci::session& session) -> absl::Status {
    signatures.clear();
    const Range range = Range::Of(session, shard);
    SignatureColumns columns;
    soci::statement select =
        (session.prepare << "SELECT signature_high, signature_low FROM images"
                            " WHERE number >= :first AND number <= :last AND epoch = :epoch"
                            " UNION ALL SELECT signature_high, signature_low FROM departed"
                            " WHERE number >= :first2 AND number <= :last2 AND epoch = :epoch2",
         soci::use(range.first), soci::use(range.last), soci::use(range.epoch), soci::use(range.first),
         soci::use(range.last), soci::use(range.epoch), soci::into(columns.high), soci::into(columns.low));
    for (bool more = select.execute(true); more; more = select.fetch()) signatures.push_back(columns.Value());
    return absl::OkStatus();
  }));
  std::ranges::sort(signatures);
  return signatures;
}

absl::StatusOr<std::vector<ImageRecord>> SqlCatalog::ShardImages(const ShardId& shard,
                                                                 std::span<const Signature> signatures) {
  LIKENESS_ASSIGN_OR_RETURN(std::vector<ImageRecord> images, Images(signatures));
  for (ImageRecord& image : images) {
    if (image.epoch == shard.epoch && image.shard == shard.shard) continue;
    image.reason = "it was gone when this shard was computed, and came again: it belongs to a later shard";
  }
  return images;
}

}  // namespace likeness
