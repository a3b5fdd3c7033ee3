#include "catalog/schema.h"

#include <initializer_list>
#include <string_view>
#include <utility>

namespace likeness {
namespace {

// $ID is a row's own number, $TEXT a text that is ordered as its bytes are, $CLUSTERED a table kept in its primary key,
// $HEX(T) the signature of table T as digits, $DAY(T) its epoch as a date. A signature is two whole numbers, its first
// and its last eight bytes, big-endian, as both engines keep sixteen bytes best.
constexpr const char* kTables[] = {
    "CREATE TABLE catalog_state ("
    " images BIGINT NOT NULL, pins BIGINT NOT NULL,"
    " next_image BIGINT NOT NULL, next_refused BIGINT NOT NULL, uncut BIGINT NOT NULL)",
    "INSERT INTO catalog_state (images, pins, next_image, next_refused, uncut) VALUES (0, 0, 1, -1, 1)",
    "CREATE TABLE folders (folder $ID, path $TEXT NOT NULL UNIQUE)",
    "CREATE TABLE images (number $ID,"
    " signature_high BIGINT NOT NULL, signature_low BIGINT NOT NULL, bytes BIGINT NOT NULL,"
    " path_key BIGINT NOT NULL, modified_ns BIGINT,"
    " width INTEGER NOT NULL, height INTEGER NOT NULL, epoch INTEGER NOT NULL,"
    " folder INTEGER NOT NULL, kept INTEGER, format $TEXT NOT NULL, name $TEXT NOT NULL)",
    "CREATE INDEX images_by_signature ON images (signature_high)",
    "CREATE INDEX images_by_path ON images (path_key)",
    "CREATE TABLE sources (folder INTEGER NOT NULL, name $TEXT NOT NULL,"
    " size BIGINT NOT NULL, modified_ns BIGINT NOT NULL, image BIGINT, reason $TEXT NOT NULL,"
    " PRIMARY KEY (folder, name)) $CLUSTERED",
    "CREATE INDEX sources_of_image ON sources (image) WHERE image IS NOT NULL",
    "CREATE INDEX sources_refused ON sources (folder, name) WHERE reason <> ''",
    "CREATE TABLE quarantine (number $ID, reason $TEXT NOT NULL, attempts INTEGER NOT NULL, gone INTEGER NOT NULL)",
    "CREATE TABLE departed (number $ID,"
    " signature_high BIGINT NOT NULL, signature_low BIGINT NOT NULL, epoch INTEGER NOT NULL)",
    "CREATE TABLE boards (board $ID, id $TEXT NOT NULL, title $TEXT NOT NULL, UNIQUE (id, title))",
    "CREATE TABLE pins (number $ID, image BIGINT NOT NULL, board INTEGER NOT NULL, digest BIGINT NOT NULL,"
    " id $TEXT NOT NULL UNIQUE, user_id $TEXT NOT NULL, description $TEXT NOT NULL, link $TEXT NOT NULL,"
    " created $TEXT NOT NULL)",
    "CREATE INDEX pins_of_image ON pins (image)",
    "CREATE INDEX pins_on_board ON pins (board, image)",
    "CREATE TABLE pin_words (word $TEXT NOT NULL, pin BIGINT NOT NULL, PRIMARY KEY (word, pin)) $CLUSTERED",
    "CREATE TABLE unpinned (number $ID)",
    "CREATE TABLE removed (number $ID)",
    "CREATE TABLE hidden (changes BIGINT NOT NULL)",
    "INSERT INTO hidden (changes) VALUES (0)",
    "CREATE TABLE shards (epoch INTEGER NOT NULL, shard INTEGER NOT NULL,"
    " first BIGINT NOT NULL, last BIGINT NOT NULL, images BIGINT NOT NULL, PRIMARY KEY (epoch, shard)) $CLUSTERED",
    "CREATE TABLE workers (name $TEXT NOT NULL PRIMARY KEY, host $TEXT NOT NULL, started BIGINT NOT NULL,"
    " last_seen BIGINT NOT NULL, chunk $TEXT NOT NULL, images BIGINT NOT NULL,"
    " images_per_second DOUBLE PRECISION NOT NULL)",
    "CREATE TABLE feature_rates (type $TEXT NOT NULL, version $TEXT NOT NULL, images BIGINT NOT NULL,"
    " seconds DOUBLE PRECISION NOT NULL, PRIMARY KEY (type, version))",
    // For people; no program reads them.
    "CREATE VIEW image_list AS SELECT i.number, $HEX(i) AS signature, $DAY(i) AS epoch,"
    " (SELECT s.shard FROM shards s WHERE s.epoch = i.epoch AND s.first <= i.number AND s.last >= i.number) AS shard,"
    " i.format, i.bytes, i.width, i.height, f.path || i.name AS path, i.modified_ns, k.path AS kept_below, q.reason"
    " FROM images i JOIN folders f ON f.folder = i.folder LEFT JOIN folders k ON k.folder = i.kept"
    " LEFT JOIN quarantine q ON q.number = i.number",
    "CREATE VIEW pin_list AS SELECT p.id, $HEX(i) AS signature, b.id AS board, b.title AS board_title, p.user_id,"
    " p.description, p.link, p.created"
    " FROM pins p JOIN images i ON i.number = p.image JOIN boards b ON b.board = p.board",
};

using Words = std::initializer_list<std::pair<std::string_view, std::string_view>>;

const Words kSqliteWords = {
    {"$ID", "INTEGER PRIMARY KEY"},
    {"$TEXT", "TEXT"},
    {"$CLUSTERED", "WITHOUT ROWID"},
    {"$HEX(i)", "printf('%016x%016x', i.signature_high, i.signature_low)"},
    {"$DAY(i)", "date(i.epoch * 86400, 'unixepoch')"},
};
const Words kPostgresWords = {
    {"$ID", "BIGINT PRIMARY KEY"},
    {"$TEXT", "TEXT COLLATE \"C\""},
    {"$CLUSTERED", ""},
    {"$HEX(i)", "lpad(to_hex(i.signature_high), 16, '0') || lpad(to_hex(i.signature_low), 16, '0')"},
    {"$DAY(i)", "date '1970-01-01' + i.epoch"},
};

constexpr Dialect kSqlite = {"BEGIN IMMEDIATE", "", "", "unixepoch()"};
constexpr Dialect kPostgres = {"BEGIN", " FOR UPDATE", "SELECT pg_advisory_xact_lock(6174)",
                               "CAST(floor(extract(epoch FROM clock_timestamp())) AS BIGINT)"};

}  // namespace

std::vector<std::string> SchemaOf(Engine engine) {
  std::vector<std::string> statements;
  for (std::string statement : kTables) {
    for (const auto& [word, meaning] : engine == Engine::kSqlite ? kSqliteWords : kPostgresWords) {
      for (size_t at; (at = statement.find(word)) != std::string::npos;) statement.replace(at, word.size(), meaning);
    }
    statements.push_back(std::move(statement));
  }
  return statements;
}

const Dialect& DialectOf(Engine engine) { return engine == Engine::kSqlite ? kSqlite : kPostgres; }

}  // namespace likeness
