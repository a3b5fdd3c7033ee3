#include "catalog/rows.h"
#include "catalog/sql_catalog.h"

namespace likeness {
namespace {

constexpr std::chrono::hours kForgetAfter{24};  // workers that were not seen for so long

std::chrono::sys_seconds TimeOf(long long seconds) { return std::chrono::sys_seconds(std::chrono::seconds(seconds)); }

}  // namespace

absl::Status SqlCatalog::Heartbeat(const WorkerBeat& beat) {
  const std::string name = ToStored(beat.name), host = ToStored(beat.host), chunk = ToStored(beat.chunk);
  const long long started = beat.started.time_since_epoch().count(), images = static_cast<long long>(beat.images);
  const long long forget = std::chrono::seconds(kForgetAfter).count();
  const std::string now = pool_->dialect().now;
  return pool_->Write([&](soci::session& session) -> absl::Status {
    session << "INSERT INTO workers (name, host, started, last_seen, chunk, images, images_per_second) VALUES"
               " (:name, :host, :started, " +
                   now +
                   ", :chunk, :images, :rate) ON CONFLICT (name) DO UPDATE SET host = excluded.host,"
                   " started = excluded.started, last_seen = excluded.last_seen, chunk = excluded.chunk,"
                   " images = excluded.images, images_per_second = excluded.images_per_second",
        soci::use(name), soci::use(host), soci::use(started), soci::use(chunk), soci::use(images),
        soci::use(beat.images_per_second);
    session << "DELETE FROM workers WHERE last_seen < " + now + " - :forget", soci::use(forget);
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<WorkerBeat>> SqlCatalog::Workers(std::chrono::seconds within) {
  std::vector<WorkerBeat> workers;
  LIKENESS_RETURN_IF_ERROR(pool_->Read([&](soci::session& session) -> absl::Status {
    workers.clear();
    std::string name, host, chunk;
    long long started = 0, last_seen = 0, images = 0;
    double rate = 0;
    const long long seconds = within.count();
    soci::statement select =
        (session.prepare << std::string("SELECT name, host, started, last_seen, chunk, images, images_per_second"
                                        " FROM workers WHERE last_seen >= ") +
                                pool_->dialect().now + " - :within ORDER BY name",
         soci::use(seconds), soci::into(name), soci::into(host), soci::into(started), soci::into(last_seen),
         soci::into(chunk), soci::into(images), soci::into(rate));
    for (bool more = select.execute(true); more; more = select.fetch()) {
      workers.push_back({FromStored(name), FromStored(host), TimeOf(started), TimeOf(last_seen), FromStored(chunk),
                         static_cast<uint64_t>(images), rate});
    }
    return absl::OkStatus();
  }));
  return workers;
}

absl::Status SqlCatalog::RecordRate(const FeatureRate& spent) {
  const auto images = static_cast<long long>(spent.images);
  return pool_->Write([&](soci::session& session) -> absl::Status {
    session << "INSERT INTO feature_rates (type, version, images, seconds) VALUES (:type, :version, :images, :seconds)"
               " ON CONFLICT (type, version) DO UPDATE SET images = feature_rates.images + excluded.images,"
               " seconds = feature_rates.seconds + excluded.seconds",
        soci::use(spent.feature.type), soci::use(spent.feature.version), soci::use(images), soci::use(spent.seconds);
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<FeatureRate>> SqlCatalog::Rates() {
  std::vector<FeatureRate> rates;
  LIKENESS_RETURN_IF_ERROR(pool_->Read([&](soci::session& session) -> absl::Status {
    rates.clear();
    FeatureRate rate;
    long long images = 0;
    soci::statement select =
        (session.prepare << "SELECT type, version, images, seconds FROM feature_rates ORDER BY type, version",
         soci::into(rate.feature.type), soci::into(rate.feature.version), soci::into(images), soci::into(rate.seconds));
    for (bool more = select.execute(true); more; more = select.fetch()) {
      rate.images = static_cast<uint64_t>(images);
      rates.push_back(rate);
    }
    return absl::OkStatus();
  }));
  return rates;
}

}  // namespace likeness
