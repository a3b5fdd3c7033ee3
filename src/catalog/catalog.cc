#include "catalog/catalog.h"

#include "base/bytes.h"
#include "catalog/migrate.h"
#include "catalog/sql_catalog.h"

namespace likeness {
namespace {

constexpr size_t kSessions = 6;

}  // namespace

absl::Status SqlCatalog::Prepare() {
  return pool_->WriteOnce([this](soci::session& session) -> absl::Status {
    if (*pool_->dialect().lock_schema != '\0') session << pool_->dialect().lock_schema;
    session << "CREATE TABLE IF NOT EXISTS catalog_version (version INTEGER NOT NULL)";
    int version = 0;
    soci::indicator found = soci::i_null;
    session << "SELECT max(version) FROM catalog_version", soci::into(version, found);
    if (found == soci::i_ok && version == kCatalogVersion) return absl::OkStatus();
    if (found == soci::i_ok && version > kCatalogVersion) {
      return absl::FailedPreconditionError("the catalog was made by a newer likeness (its version is " +
                                           std::to_string(version) + ", this program knows " +
                                           std::to_string(kCatalogVersion) + "): use that program");
    }
    if (found == soci::i_ok && version == 2) {
      MigrateVersion2(session, pool_->engine());
    } else if (found == soci::i_ok) {
      LIKENESS_RETURN_IF_ERROR(MigrateVersion1(session, pool_->engine()));
    } else {
      for (const std::string& statement : SchemaOf(pool_->engine())) session << statement;
    }
    session << "DELETE FROM catalog_version";
    session << "INSERT INTO catalog_version (version) VALUES (:version)", soci::use(kCatalogVersion, "version");
    return absl::OkStatus();
  });
}

absl::StatusOr<std::unique_ptr<Catalog>> Catalog::Open(const std::filesystem::path& path) {
  if (path.string().find('"') != std::string::npos) {
    return absl::InvalidArgumentError("the home folder's path must not contain a quotation mark: " + path.string());
  }
  auto catalog = std::make_unique<SqlCatalog>(std::make_unique<SessionPool>(path.string(), kSessions));
  LIKENESS_RETURN_IF_ERROR(Annotate(catalog->Prepare(), path.string()));
  return catalog;
}

absl::StatusOr<std::unique_ptr<Catalog>> Catalog::Connect(const std::string& url, const CatalogOptions& options) {
  LIKENESS_ASSIGN_OR_RETURN(auto pool, SessionPool::Connect(url, kSessions, options.retry_for));
  auto catalog = std::make_unique<SqlCatalog>(std::move(pool));
  LIKENESS_RETURN_IF_ERROR(catalog->Prepare());
  return catalog;
}

uint64_t PinDigest(const Pin& pin) {
  std::string all = pin.image.Hex();
  for (const std::string* member :
       {&pin.id, &pin.board, &pin.board_title, &pin.user, &pin.description, &pin.link, &pin.created}) {
    all.push_back('\0');
    all.append(*member);
  }
  return Checksum(AsBytes(all));
}

}  // namespace likeness
