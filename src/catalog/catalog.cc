#include "catalog/catalog.h"

#include <cstring>

#include "base/bytes.h"
#include "catalog/schema.h"
#include "catalog/session_pool.h"
#include "catalog/words.h"

namespace likeness {
namespace {

constexpr size_t kSessions = 6;
constexpr const char* kImageColumns = "signature, format, bytes, width, height, epoch, shard, location, reason";

// Variables that SOCI fetches an image's columns into, one row at a time.
struct ImageRow {
  std::string signature, format, epoch, location, reason;
  long long bytes = 0;
  int width = 0, height = 0, shard = 0;
  soci::indicator has_shard = soci::i_null;

  // The images under `condition`, whose placeholders `bound` fills in order.
  template <typename... Bound>
  soci::statement Select(soci::session& session, const std::string& condition, Bound&... bound) {
    soci::statement select(session);
    for (std::string* text : {&signature, &format}) select.exchange(soci::into(*text));
    select.exchange(soci::into(bytes));
    for (int* number : {&width, &height}) select.exchange(soci::into(*number));
    select.exchange(soci::into(epoch));
    select.exchange(soci::into(shard, has_shard));
    for (std::string* text : {&location, &reason}) select.exchange(soci::into(*text));
    (select.exchange(soci::use(bound)), ...);
    select.alloc();
    select.prepare("SELECT " + std::string(kImageColumns) + " FROM images " + condition);
    select.define_and_bind();
    return select;
  }
  ImageRecord Record() const {
    ImageRecord record;
    record.signature = Signature::Parse(signature).value_or(Signature{});
    record.format = format;
    record.bytes = static_cast<uint64_t>(bytes);
    record.width = static_cast<uint32_t>(width);
    record.height = static_cast<uint32_t>(height);
    record.epoch = Epoch::Parse(epoch).value_or(Epoch{});
    if (has_shard == soci::i_ok) record.shard = static_cast<uint32_t>(shard);
    record.location = location;
    record.reason = reason;
    return record;
  }
};

// The least text that is greater than every text that begins with `prefix`: UTF-8 has no byte 0xFF.
std::string PrefixEnd(const std::string& prefix) { return prefix + '\xff'; }

class SqlCatalog final : public Catalog {
 public:
  explicit SqlCatalog(const std::filesystem::path& path) : pool_(path.string(), kSessions) {}

  absl::Status Prepare() {
    return pool_.Write([](soci::session& session) -> absl::Status {
      for (const char* statement : kCatalogSchema) session << statement;
      int version = 0;
      soci::indicator found = soci::i_null;
      session << "SELECT max(version) FROM catalog_version", soci::into(version, found);
      if (found != soci::i_ok) {
        session << "INSERT INTO catalog_version (version) VALUES (:version)", soci::use(kCatalogVersion, "version");
      } else if (version > kCatalogVersion) {
        return absl::FailedPreconditionError("the catalog was made by a newer likeness (its version is " +
                                             std::to_string(version) + ", this program knows " +
                                             std::to_string(kCatalogVersion) + "): use that program");
      }
      return absl::OkStatus();
    });
  }

  absl::StatusOr<std::vector<std::optional<SourceRecord>>> Sources(std::span<const std::string> paths) override {
    std::vector<std::optional<SourceRecord>> found(paths.size());
    LIKENESS_RETURN_IF_ERROR(pool_.Read([&](soci::session& session) -> absl::Status {
      std::string path, signature, reason;
      long long size = 0, modified_ns = 0;
      soci::indicator has_signature = soci::i_null;
      soci::statement select =
          (session.prepare << "SELECT size, modified_ns, signature, reason FROM sources WHERE path = :path",
           soci::use(path), soci::into(size), soci::into(modified_ns), soci::into(signature, has_signature),
           soci::into(reason));
      for (size_t i = 0; i < paths.size(); ++i) {
        path = paths[i];
        if (!select.execute(true)) continue;
        found[i] = SourceRecord{path, static_cast<uint64_t>(size), modified_ns, std::nullopt, reason};
        if (has_signature == soci::i_ok) found[i]->signature = Signature::Parse(signature);
      }
      return absl::OkStatus();
    }));
    return found;
  }

  absl::StatusOr<std::vector<std::string>> Paths(const Signature& signature) override {
    std::vector<std::string> paths;
    LIKENESS_RETURN_IF_ERROR(pool_.Read([&](soci::session& session) -> absl::Status {
      const std::string hex = signature.Hex();
      std::string path;
      soci::statement select = (session.prepare << "SELECT path FROM sources WHERE signature = :hex ORDER BY path",
                                soci::use(hex), soci::into(path));
      for (bool more = select.execute(true); more; more = select.fetch()) paths.push_back(path);
      return absl::OkStatus();
    }));
    return paths;
  }

  absl::StatusOr<std::vector<std::optional<uint64_t>>> PinDigests(std::span<const std::string> ids) override {
    std::vector<std::optional<uint64_t>> found(ids.size());
    LIKENESS_RETURN_IF_ERROR(pool_.Read([&](soci::session& session) -> absl::Status {
      std::string id;
      long long digest = 0;
      soci::statement select =
          (session.prepare << "SELECT digest FROM pins WHERE id = :id", soci::use(id), soci::into(digest));
      for (size_t i = 0; i < ids.size(); ++i) {
        id = ids[i];
        if (select.execute(true)) found[i] = static_cast<uint64_t>(digest);
      }
      return absl::OkStatus();
    }));
    return found;
  }

  absl::Status Record(std::span<const Addition> additions) override {
    return pool_.Write([&](soci::session& session) -> absl::Status {
      for (const Addition& addition : additions) {
        if (addition.image) RecordImage(session, *addition.image);
        if (!addition.source.path.empty()) RecordSource(session, addition.source);
        if (addition.pin) RecordPin(session, *addition.pin);
      }
      return absl::OkStatus();
    });
  }

  absl::StatusOr<CatalogCounts> Counts() override {
    long long images = 0, pins = 0, quarantined = 0, refused = 0;
    LIKENESS_RETURN_IF_ERROR(pool_.Read([&](soci::session& session) -> absl::Status {
      session << "SELECT count(*) FROM images", soci::into(images);
      session << "SELECT count(*) FROM pins", soci::into(pins);
      session << "SELECT count(*) FROM images WHERE reason <> ''", soci::into(quarantined);
      session << "SELECT count(*) FROM sources WHERE reason <> '' AND signature IS NULL", soci::into(refused);
      return absl::OkStatus();
    }));
    return CatalogCounts{static_cast<uint64_t>(images - quarantined), static_cast<uint64_t>(pins),
                         static_cast<uint64_t>(quarantined + refused)};
  }

  absl::StatusOr<std::optional<ImageRecord>> Image(const Signature& signature) override {
    LIKENESS_ASSIGN_OR_RETURN(std::vector<ImageRecord> records, Images({&signature, 1}));
    return records.empty() ? std::nullopt : std::optional(std::move(records.front()));
  }

  absl::StatusOr<std::vector<ImageRecord>> Images(std::span<const Signature> signatures) override {
    std::vector<ImageRecord> records;
    LIKENESS_RETURN_IF_ERROR(pool_.Read([&](soci::session& session) -> absl::Status {
      ImageRow row;
      std::string wanted;
      soci::statement select = row.Select(session, "WHERE signature = :wanted", wanted);
      for (const Signature& signature : signatures) {
        wanted = signature.Hex();
        if (select.execute(true)) records.push_back(row.Record());
      }
      return absl::OkStatus();
    }));
    return records;
  }

  absl::StatusOr<std::vector<Pin>> Pins(std::span<const Signature> signatures) override {
    std::vector<Pin> pins;
    LIKENESS_RETURN_IF_ERROR(pool_.Read([&](soci::session& session) -> absl::Status {
      std::string wanted;
      Pin pin;
      soci::statement select =
          (session.prepare << "SELECT id, board, board_title, user_id, description, link, created FROM pins"
                              " WHERE signature = :wanted ORDER BY number",
           soci::use(wanted), soci::into(pin.id), soci::into(pin.board), soci::into(pin.board_title),
           soci::into(pin.user), soci::into(pin.description), soci::into(pin.link), soci::into(pin.created));
      for (const Signature& signature : signatures) {
        wanted = signature.Hex();
        pin.image = signature;
        for (bool more = select.execute(true); more; more = select.fetch()) pins.push_back(pin);
      }
      return absl::OkStatus();
    }));
    return pins;
  }

  absl::StatusOr<std::vector<Board>> Boards() override {
    std::vector<Board> boards;
    LIKENESS_RETURN_IF_ERROR(pool_.Read([&](soci::session& session) -> absl::Status {
      Board board;
      long long images = 0;
      soci::statement select =
          (session.prepare << "SELECT board, max(board_title), count(DISTINCT signature) FROM pins WHERE board <> ''"
                              " GROUP BY board ORDER BY board",
           soci::into(board.id), soci::into(board.title), soci::into(images));
      for (bool more = select.execute(true); more; more = select.fetch()) {
        board.images = static_cast<uint64_t>(images);
        boards.push_back(board);
      }
      return absl::OkStatus();
    }));
    return boards;
  }

  absl::StatusOr<std::vector<Signature>> Match(const PinFilter& filter) override {
    const std::vector<std::string> words = WordsOf(filter.text);
    std::vector<Signature> matches;
    if (!filter.text.empty() && words.empty()) return matches;  // Punctuation alone begins no word.
    LIKENESS_RETURN_IF_ERROR(pool_.Read([&](soci::session& session) -> absl::Status {
      std::string sql = "SELECT DISTINCT signature FROM pins WHERE 1 = 1";
      if (!filter.board.empty()) sql += " AND board = :board";
      std::vector<std::string> ends;
      for (size_t i = 0; i < words.size(); ++i) {
        const std::string n = std::to_string(i);
        sql += " AND number IN (SELECT pin FROM pin_words WHERE word >= :w" + n + " AND word < :e" + n + ")";
        ends.push_back(PrefixEnd(words[i]));
      }
      sql += " ORDER BY signature";
      std::string signature;
      soci::statement select(session);
      select.exchange(soci::into(signature));
      if (!filter.board.empty()) select.exchange(soci::use(filter.board));
      for (size_t i = 0; i < words.size(); ++i) {
        select.exchange(soci::use(words[i]));
        select.exchange(soci::use(ends[i]));
      }
      select.alloc();
      select.prepare(sql);
      select.define_and_bind();
      for (bool more = select.execute(true); more; more = select.fetch()) {
        matches.push_back(Signature::Parse(signature).value_or(Signature{}));
      }
      return absl::OkStatus();
    }));
    return matches;
  }

  absl::StatusOr<std::vector<Quarantined>> Quarantine(uint64_t limit) override {
    std::vector<Quarantined> all;
    LIKENESS_RETURN_IF_ERROR(pool_.Read([&](soci::session& session) -> absl::Status {
      Quarantined one;
      const long long most = static_cast<long long>(std::min<uint64_t>(limit, INT64_MAX));
      soci::statement select =
          (session.prepare << "SELECT path, reason FROM sources WHERE reason <> '' AND signature IS NULL"
                              " UNION ALL SELECT coalesce((SELECT min(path) FROM sources s"
                              "   WHERE s.signature = images.signature), signature), reason"
                              "   FROM images WHERE reason <> ''"
                              " ORDER BY 1 LIMIT :most",
           soci::use(most), soci::into(one.source), soci::into(one.reason));
      for (bool more = select.execute(true); more; more = select.fetch()) all.push_back(one);
      return absl::OkStatus();
    }));
    return all;
  }

  absl::Status QuarantineImage(const Signature& signature, const std::string& reason) override {
    return pool_.Write([&](soci::session& session) -> absl::Status {
      const std::string hex = signature.Hex();
      session << "UPDATE images SET reason = :reason WHERE signature = :signature", soci::use(reason), soci::use(hex);
      return absl::OkStatus();
    });
  }

  absl::StatusOr<std::vector<Signature>> Unpinned() override {
    std::vector<Signature> signatures;
    LIKENESS_RETURN_IF_ERROR(pool_.Read([&](soci::session& session) -> absl::Status {
      std::string signature;
      soci::statement select = (session.prepare << "SELECT signature FROM images WHERE NOT EXISTS"
                                                   " (SELECT 1 FROM pins WHERE pins.signature = images.signature)"
                                                   " ORDER BY signature",
                                soci::into(signature));
      for (bool more = select.execute(true); more; more = select.fetch()) {
        signatures.push_back(Signature::Parse(signature).value_or(Signature{}));
      }
      return absl::OkStatus();
    }));
    return signatures;
  }

  absl::StatusOr<std::vector<std::pair<Epoch, Signature>>> Unsharded() override {
    std::vector<std::pair<Epoch, Signature>> images;
    LIKENESS_RETURN_IF_ERROR(pool_.Read([&](soci::session& session) -> absl::Status {
      std::string epoch, signature;
      soci::statement select = (session.prepare << "SELECT epoch, signature FROM images WHERE shard IS NULL"
                                                   " AND reason = '' ORDER BY epoch, signature",
                                soci::into(epoch), soci::into(signature));
      for (bool more = select.execute(true); more; more = select.fetch()) {
        images.emplace_back(Epoch::Parse(epoch).value_or(Epoch{}), Signature::Parse(signature).value_or(Signature{}));
      }
      return absl::OkStatus();
    }));
    return images;
  }

  absl::Status AddShard(const ShardId& shard, std::span<const Signature> signatures) override {
    return pool_.Write([&](soci::session& session) -> absl::Status {
      const std::string epoch = shard.epoch.ToString();
      const int number = static_cast<int>(shard.shard);
      long long count = 0;
      session << "SELECT count(*) FROM shards WHERE epoch = :epoch AND shard = :number", soci::use(epoch),
          soci::use(number), soci::into(count);
      if (count > 0) return absl::AlreadyExistsError("shard " + shard.ToString() + " exists already");
      std::vector<std::string> hex;
      for (const Signature& one : signatures) hex.push_back(one.Hex());
      if (!hex.empty()) {
        session << "UPDATE images SET shard = " + std::to_string(number) +
                       " WHERE signature = :signature AND shard IS NULL",
            soci::use(hex);
      }
      session << "SELECT count(*) FROM images WHERE epoch = :epoch AND shard = :number", soci::use(epoch),
          soci::use(number), soci::into(count);
      if (count != static_cast<long long>(signatures.size())) {
        return absl::AlreadyExistsError("an image of shard " + shard.ToString() + " has got a shard meanwhile");
      }
      count = static_cast<long long>(signatures.size());
      session << "INSERT INTO shards (epoch, shard, images) VALUES (:epoch, :number, :count)", soci::use(epoch),
          soci::use(number), soci::use(count);
      return absl::OkStatus();
    });
  }

  absl::StatusOr<std::vector<ShardRecord>> Shards() override {
    std::vector<ShardRecord> shards;
    LIKENESS_RETURN_IF_ERROR(pool_.Read([&](soci::session& session) -> absl::Status {
      std::string epoch;
      int number = 0;
      long long images = 0;
      soci::statement select = (session.prepare << "SELECT epoch, shard, images FROM shards ORDER BY epoch, shard",
                                soci::into(epoch), soci::into(number), soci::into(images));
      for (bool more = select.execute(true); more; more = select.fetch()) {
        shards.push_back(
            {{Epoch::Parse(epoch).value_or(Epoch{}), static_cast<uint32_t>(number)}, static_cast<uint64_t>(images)});
      }
      return absl::OkStatus();
    }));
    return shards;
  }

  absl::StatusOr<std::vector<ImageRecord>> ShardImages(const ShardId& shard) override {
    std::vector<ImageRecord> images;
    LIKENESS_RETURN_IF_ERROR(pool_.Read([&](soci::session& session) -> absl::Status {
      ImageRow row;
      const std::string epoch = shard.epoch.ToString();
      const int number = static_cast<int>(shard.shard);
      soci::statement select =
          row.Select(session, "WHERE epoch = :epoch AND shard = :number ORDER BY signature", epoch, number);
      for (bool more = select.execute(true); more; more = select.fetch()) images.push_back(row.Record());
      return absl::OkStatus();
    }));
    return images;
  }

 private:
  static void RecordImage(soci::session& session, const ImageRecord& image) {
    const std::string signature = image.signature.Hex(), epoch = image.epoch.ToString();
    const auto bytes = static_cast<long long>(image.bytes);
    const int width = static_cast<int>(image.width), height = static_cast<int>(image.height);
    session << "INSERT INTO images (signature, format, bytes, width, height, epoch, location, reason)"
               " VALUES (:signature, :format, :bytes, :width, :height, :epoch, :location, :reason)"
               " ON CONFLICT (signature) DO UPDATE SET location = excluded.location, format = excluded.format,"
               " width = excluded.width, height = excluded.height, reason = excluded.reason WHERE shard IS NULL"
               " AND (reason <> '' OR NOT EXISTS (SELECT 1 FROM sources WHERE sources.signature = excluded.signature))",
        soci::use(signature), soci::use(image.format), soci::use(bytes), soci::use(width), soci::use(height),
        soci::use(epoch), soci::use(image.location), soci::use(image.reason);
  }

  static void RecordSource(soci::session& session, const SourceRecord& source) {
    const auto size = static_cast<long long>(source.size);
    const auto modified_ns = static_cast<long long>(source.modified_ns);
    const std::string signature = source.signature ? source.signature->Hex() : "";
    soci::indicator has_signature = source.signature ? soci::i_ok : soci::i_null;
    session << "INSERT INTO sources (path, size, modified_ns, signature, reason)"
               " VALUES (:path, :size, :modified_ns, :signature, :reason)"
               " ON CONFLICT (path) DO UPDATE SET size = excluded.size, modified_ns = excluded.modified_ns,"
               " signature = excluded.signature, reason = excluded.reason",
        soci::use(source.path), soci::use(size), soci::use(modified_ns), soci::use(signature, has_signature),
        soci::use(source.reason);
  }

  static void RecordPin(soci::session& session, const Pin& pin) {
    const std::string signature = pin.image.Hex();
    const auto digest = static_cast<long long>(PinDigest(pin));
    session << "INSERT INTO pins (id, signature, board, board_title, user_id, description, link, created, digest)"
               " VALUES (:id, :signature, :board, :board_title, :user_id, :description, :link, :created, :digest)"
               " ON CONFLICT (id) DO UPDATE SET signature = excluded.signature, board = excluded.board,"
               " board_title = excluded.board_title, user_id = excluded.user_id, description = excluded.description,"
               " link = excluded.link, created = excluded.created, digest = excluded.digest",
        soci::use(pin.id), soci::use(signature), soci::use(pin.board), soci::use(pin.board_title), soci::use(pin.user),
        soci::use(pin.description), soci::use(pin.link), soci::use(pin.created), soci::use(digest);
    long long number = 0;
    session << "SELECT number FROM pins WHERE id = :id", soci::use(pin.id), soci::into(number);
    session << "DELETE FROM pin_words WHERE pin = :number", soci::use(number);
    for (const std::string& word : WordsOf(pin.description + "\n" + pin.board_title)) {
      session << "INSERT INTO pin_words (word, pin) VALUES (:word, :number)", soci::use(word), soci::use(number);
    }
  }

  SessionPool pool_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Catalog>> Catalog::Open(const std::filesystem::path& path) {
  if (path.string().find('"') != std::string::npos) {
    return absl::InvalidArgumentError("the home folder's path must not contain a quotation mark: " + path.string());
  }
  auto catalog = std::make_unique<SqlCatalog>(path);
  LIKENESS_RETURN_IF_ERROR(Annotate(catalog->Prepare(), path.string()));
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
