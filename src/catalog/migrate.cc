#include "catalog/migrate.h"

#include <optional>
#include <string>
#include <vector>

#include "catalog/recorder.h"

namespace likeness {
namespace {

constexpr const char* kOldTables[] = {"images", "sources", "pins", "pin_words", "shards"};

absl::StatusOr<Signature> ParseSignature(const std::string& hex) {
  const std::optional<Signature> signature = Signature::Parse(hex);
  if (!signature) return absl::DataLossError("the catalog holds a signature that is none: " + hex);
  return *signature;
}

// What was recorded of `path`, when it holds the image.
std::optional<SourceRecord> OldSource(soci::session& session, const std::string& path, const Signature& signature) {
  const std::string hex = signature.Hex();
  long long size = 0, modified_ns = 0;
  std::string reason;
  session << "SELECT size, modified_ns, reason FROM v1_sources WHERE path = :path AND signature = :hex",
      soci::use(path), soci::use(hex), soci::into(size), soci::into(modified_ns), soci::into(reason);
  if (!session.got_data()) return std::nullopt;
  return SourceRecord{path, static_cast<uint64_t>(size), modified_ns, signature, reason};
}

// Images come in the order of their shards, so that a shard is a range of numbers; those without come last.
absl::Status MoveImages(soci::session& session, Recorder& recorder) {
  std::string hex, format, epoch, location, reason;
  long long bytes = 0;
  int width = 0, height = 0, shard = 0;
  soci::indicator has_shard = soci::i_null;
  soci::statement select =
      (session.prepare << "SELECT signature, format, bytes, width, height, epoch, shard, location, reason FROM"
                          " v1_images ORDER BY shard IS NULL, epoch, shard, signature",
       soci::into(hex), soci::into(format), soci::into(bytes), soci::into(width), soci::into(height), soci::into(epoch),
       soci::into(shard, has_shard), soci::into(location), soci::into(reason));
  std::optional<ShardId> current;
  long long first = 0;
  const auto close = [&] {
    if (!current) return;
    const int day = EpochColumn(current->epoch), number = static_cast<int>(current->shard);
    const long long last = recorder.state().next_image - 1, images = last - first + 1;
    session << "INSERT INTO shards (epoch, shard, first, last, images) VALUES (:epoch, :shard, :first, :last, :images)",
        soci::use(day), soci::use(number), soci::use(first), soci::use(last), soci::use(images);
    current.reset();
    recorder.state().uncut = recorder.state().next_image;
  };
  for (bool more = select.execute(true); more; more = select.fetch()) {
    LIKENESS_ASSIGN_OR_RETURN(const Signature signature, ParseSignature(hex));
    const std::optional<Epoch> day = Epoch::Parse(epoch);
    if (!day) return absl::DataLossError("the catalog holds a date that is none: " + epoch);
    std::optional<ShardId> in;
    if (has_shard == soci::i_ok) in = ShardId{*day, static_cast<uint32_t>(shard)};
    if (in != current) {
      close();
      current = in;
      first = recorder.state().next_image;
    }
    Addition addition;
    addition.image = ImageRecord{signature,
                                 format,
                                 static_cast<uint64_t>(bytes),
                                 static_cast<uint32_t>(width),
                                 static_cast<uint32_t>(height),
                                 *day,
                                 std::nullopt,
                                 location,
                                 in ? "" : reason};
    if (location.starts_with("file:")) {
      if (const auto source = OldSource(session, location.substr(5), signature)) addition.source = *source;
    }
    LIKENESS_RETURN_IF_ERROR(recorder.Record(addition));
    // In a shard it keeps its number; the shard is not closed yet, which would make it a refused one.
    if (in && !reason.empty()) {
      const std::string stored = ToStored(reason);
      const long long number = recorder.state().next_image - 1;
      session << "INSERT INTO quarantine (number, reason, attempts, gone) VALUES (:number, :reason, 1, 0)",
          soci::use(number), soci::use(stored);
    }
  }
  close();
  return absl::OkStatus();
}

absl::Status MoveSources(soci::session& session, Recorder& recorder) {
  std::string path, hex, reason;
  long long size = 0, modified_ns = 0;
  soci::indicator has_signature = soci::i_null;
  soci::statement select =
      (session.prepare << "SELECT path, size, modified_ns, signature, reason FROM v1_sources ORDER BY path",
       soci::into(path), soci::into(size), soci::into(modified_ns), soci::into(hex, has_signature), soci::into(reason));
  for (bool more = select.execute(true); more; more = select.fetch()) {
    Addition addition;
    addition.source = {path, static_cast<uint64_t>(size), modified_ns, std::nullopt, reason};
    if (has_signature == soci::i_ok) {
      LIKENESS_ASSIGN_OR_RETURN(addition.source.signature, ParseSignature(hex));
    }
    LIKENESS_RETURN_IF_ERROR(recorder.Record(addition));
  }
  return absl::OkStatus();
}

absl::Status MovePins(soci::session& session, Recorder& recorder) {
  Pin pin;
  std::string hex;
  soci::statement select =
      (session.prepare << "SELECT id, signature, board, board_title, user_id, description, link, created FROM v1_pins"
                          " ORDER BY number",
       soci::into(pin.id), soci::into(hex), soci::into(pin.board), soci::into(pin.board_title), soci::into(pin.user),
       soci::into(pin.description), soci::into(pin.link), soci::into(pin.created));
  for (bool more = select.execute(true); more; more = select.fetch()) {
    LIKENESS_ASSIGN_OR_RETURN(pin.image, ParseSignature(hex));
    Addition addition;
    addition.pin = pin;
    LIKENESS_RETURN_IF_ERROR(recorder.Record(addition));
  }
  session << "INSERT INTO unpinned (number) SELECT number FROM images WHERE NOT EXISTS"
             " (SELECT 1 FROM pins WHERE pins.image = images.number)";
  return absl::OkStatus();
}

}  // namespace

absl::Status MigrateVersion1(soci::session& session, Engine engine) {
  for (const char* table : kOldTables) session << std::string("ALTER TABLE ") + table + " RENAME TO v1_" + table;
  for (const std::string& statement : SchemaOf(engine)) session << statement;
  {
    Recorder recorder(session, DialectOf(engine));
    LIKENESS_RETURN_IF_ERROR(MoveImages(session, recorder));
    LIKENESS_RETURN_IF_ERROR(MoveSources(session, recorder));
    LIKENESS_RETURN_IF_ERROR(MovePins(session, recorder));
    recorder.Finish();
  }
  for (const char* table : kOldTables) session << std::string("DROP TABLE v1_") + table;
  return absl::OkStatus();
}

void MigrateVersion2(soci::session& session, Engine engine) {
  for (const std::string& statement : SchemaOf(engine)) {
    if (statement.find(" removed (") != statement.npos || statement.find(" hidden (") != statement.npos) {
      session << statement;
    }
  }
}

}  // namespace likeness
