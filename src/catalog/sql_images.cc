#include <algorithm>

#include "catalog/recorder.h"
#include "catalog/rows.h"
#include "catalog/sql_catalog.h"

namespace likeness {

absl::StatusOr<std::vector<std::optional<SourceRecord>>> SqlCatalog::Sources(std::span<const std::string> paths) {
  std::vector<std::optional<SourceRecord>> found;
  LIKENESS_RETURN_IF_ERROR(pool_->Read([&](soci::session& session) -> absl::Status {
    found.assign(paths.size(), std::nullopt);
    PathColumns path;
    std::string folder, name, reason;
    SignatureColumns signature;
    long long size = 0, modified_ns = 0;
    int gone = 0;
    soci::indicator has_signature = soci::i_null, has_low = soci::i_null;
    soci::statement of_image =
        (session.prepare << "SELECT f.path, i.name, i.bytes, i.modified_ns, i.signature_high, i.signature_low,"
                            " coalesce(q.gone, 0) FROM images i JOIN folders f ON f.folder = i.folder"
                            " LEFT JOIN quarantine q ON q.number = i.number"
                            " WHERE i.path_key = :key AND i.modified_ns IS NOT NULL",
         soci::use(path.key), soci::into(folder), soci::into(name), soci::into(size), soci::into(modified_ns),
         soci::into(signature.high), soci::into(signature.low), soci::into(gone));
    soci::statement other =
        (session.prepare << "SELECT s.size, s.modified_ns, i.signature_high, i.signature_low, s.reason,"
                            " coalesce(q.gone, 0) FROM folders f JOIN sources s ON s.folder = f.folder"
                            " LEFT JOIN images i ON i.number = s.image LEFT JOIN quarantine q ON q.number = s.image"
                            " WHERE f.path = :folder AND s.name = :name",
         soci::use(path.folder), soci::use(path.name), soci::into(size), soci::into(modified_ns),
         soci::into(signature.high, has_signature), soci::into(signature.low, has_low), soci::into(reason),
         soci::into(gone));
    const auto find = [&] {
      for (bool more = of_image.execute(true); more; more = of_image.fetch()) {
        if (name != path.name || folder != path.folder) continue;
        has_signature = soci::i_ok;
        reason.clear();
        return true;
      }
      return other.execute(true);
    };
    for (size_t i = 0; i < paths.size(); ++i) {
      path = PathColumns::Of(paths[i]);
      if (!find() || gone != 0) continue;
      found[i] = SourceRecord{paths[i], static_cast<uint64_t>(size), modified_ns, std::nullopt, FromStored(reason)};
      if (has_signature == soci::i_ok) found[i]->signature = signature.Value();
    }
    return absl::OkStatus();
  }));
  return found;
}

absl::StatusOr<std::vector<std::string>> SqlCatalog::Paths(const Signature& signature) {
  std::vector<std::string> paths;
  LIKENESS_RETURN_IF_ERROR(pool_->Read([&](soci::session& session) -> absl::Status {
    paths.clear();
    const SignatureColumns wanted = SignatureColumns::Of(signature);
    std::string folder, name;
    soci::statement select =
        (session.prepare << "SELECT f.path, i.name FROM images i JOIN folders f ON f.folder = i.folder"
                            " WHERE i.signature_high = :high AND i.signature_low = :low AND i.modified_ns IS NOT NULL"
                            " UNION ALL SELECT f.path, s.name FROM images i JOIN sources s ON s.image = i.number"
                            " JOIN folders f ON f.folder = s.folder"
                            " WHERE i.signature_high = :high2 AND i.signature_low = :low2",
         soci::use(wanted.high), soci::use(wanted.low), soci::use(wanted.high), soci::use(wanted.low),
         soci::into(folder), soci::into(name));
    for (bool more = select.execute(true); more; more = select.fetch()) {
      paths.push_back(FromStored(folder) + FromStored(name));
    }
    return absl::OkStatus();
  }));
  std::ranges::sort(paths);
  return paths;
}

absl::Status SqlCatalog::Record(std::span<const Addition> additions) {
  return pool_->Write([&](soci::session& session) -> absl::Status {
    Recorder recorder(session, pool_->dialect());
    for (const Addition& addition : additions) LIKENESS_RETURN_IF_ERROR(recorder.Record(addition));
    recorder.Finish();
    return absl::OkStatus();
  });
}

absl::StatusOr<CatalogCounts> SqlCatalog::Counts() {
  long long images = 0, pins = 0, kept = 0, refused = 0, unread = 0, removed = 0, removed_pins = 0;
  LIKENESS_RETURN_IF_ERROR(pool_->Read([&](soci::session& session) -> absl::Status {
    session << "SELECT images, pins, (SELECT count(*) FROM quarantine q WHERE number > 0 AND NOT EXISTS"
               " (SELECT 1 FROM removed r WHERE r.number = q.number)),"
               " (SELECT count(*) FROM quarantine WHERE number < 0),"
               " (SELECT count(*) FROM sources WHERE reason <> '' AND image IS NULL),"
               " (SELECT count(*) FROM removed WHERE number > 0),"
               " (SELECT count(*) FROM removed r JOIN pins p ON p.image = r.number) FROM catalog_state",
        soci::into(images), soci::into(pins), soci::into(kept), soci::into(refused), soci::into(unread),
        soci::into(removed), soci::into(removed_pins);
    return absl::OkStatus();
  }));
  return CatalogCounts{static_cast<uint64_t>(images - kept - removed), static_cast<uint64_t>(pins - removed_pins),
                       static_cast<uint64_t>(kept + refused + unread)};
}

absl::StatusOr<std::optional<ImageRecord>> SqlCatalog::Image(const Signature& signature) {
  LIKENESS_ASSIGN_OR_RETURN(std::vector<ImageRecord> records, Images({&signature, 1}));
  return records.empty() ? std::nullopt : std::optional(std::move(records.front()));
}

absl::StatusOr<std::vector<ImageRecord>> SqlCatalog::Images(std::span<const Signature> signatures) {
  std::vector<ImageRecord> records;
  LIKENESS_RETURN_IF_ERROR(pool_->Read([&](soci::session& session) -> absl::Status {
    records.clear();
    ImageRow row;
    SignatureColumns wanted;
    soci::statement select =
        row.Select(session, "WHERE i.signature_high = :high AND i.signature_low = :low", wanted.high, wanted.low);
    for (const Signature& signature : signatures) {
      wanted = SignatureColumns::Of(signature);
      if (select.execute(true)) records.push_back(row.Record());
    }
    return absl::OkStatus();
  }));
  return records;
}

absl::StatusOr<std::vector<Quarantined>> SqlCatalog::Quarantine(uint64_t limit) {
  std::vector<Quarantined> all;
  LIKENESS_RETURN_IF_ERROR(pool_->Read([&](soci::session& session) -> absl::Status {
    all.clear();
    std::string source, reason;
    int attempts = 0, named = 0;
    SignatureColumns signature;
    const auto most = static_cast<long long>(std::min<uint64_t>(limit, INT64_MAX));
    // An image goes by its own place, else by the first of the others, else by its signature.
    soci::statement select =
        (session.prepare << "SELECT source, reason, attempts, signature_high, signature_low,"
                            " CASE WHEN source = '' THEN 0 ELSE 1 END FROM ("
                            "SELECT f.path || s.name AS source, s.reason AS reason, 1 AS attempts,"
                            " 0 AS signature_high, 0 AS signature_low"
                            " FROM sources s JOIN folders f ON f.folder = s.folder"
                            " WHERE s.reason <> '' AND s.image IS NULL"
                            " UNION ALL SELECT coalesce("
                            "CASE WHEN i.modified_ns IS NOT NULL THEN f.path || i.name END,"
                            " (SELECT min(g.path || s.name) FROM sources s JOIN folders g ON g.folder = s.folder"
                            " WHERE s.image = i.number), ''), q.reason, q.attempts, i.signature_high, i.signature_low"
                            " FROM quarantine q JOIN images i ON i.number = q.number"
                            " JOIN folders f ON f.folder = i.folder"
                            " WHERE NOT EXISTS (SELECT 1 FROM removed r WHERE r.number = q.number)) AS everything "
                            "ORDER BY 1, 4, 5 LIMIT :most",
         soci::use(most), soci::into(source), soci::into(reason), soci::into(attempts), soci::into(signature.high),
         soci::into(signature.low), soci::into(named));
    for (bool more = select.execute(true); more; more = select.fetch()) {
      all.push_back({named != 0 ? FromStored(source) : signature.Value().Hex(), FromStored(reason),
                     static_cast<uint32_t>(attempts)});
    }
    return absl::OkStatus();
  }));
  return all;
}

absl::Status SqlCatalog::QuarantineImage(const Signature& signature, const ImageFault& fault) {
  return pool_->Write([&](soci::session& session) -> absl::Status {
    Recorder recorder(session, pool_->dialect());
    if (const std::optional<long long> number = recorder.Find(signature)) recorder.Quarantine(*number, fault);
    recorder.Finish();
    return absl::OkStatus();
  });
}

}  // namespace likeness
