// The tables of the catalog.
#pragma once

namespace likeness {

// Raised whenever a table changes; an older file is brought up to date when it is opened, a newer one is refused.
inline constexpr int kCatalogVersion = 1;

// Signatures are 32 hexadecimal digits, dates YYYY-MM-DD: readable in any database shell, the same in every engine, and
// ordered as their values are.
inline constexpr const char* kCatalogSchema[] = {
    "CREATE TABLE IF NOT EXISTS catalog_version (version INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS images ("
    " signature CHAR(32) NOT NULL PRIMARY KEY,"
    " format VARCHAR(8) NOT NULL, bytes BIGINT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,"
    " epoch CHAR(10) NOT NULL, shard INTEGER, location TEXT NOT NULL, reason TEXT NOT NULL) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS images_by_shard ON images (epoch, shard)",
    "CREATE INDEX IF NOT EXISTS images_in_quarantine ON images (signature) WHERE reason <> ''",
    "CREATE TABLE IF NOT EXISTS sources ("
    " path TEXT NOT NULL PRIMARY KEY, size BIGINT NOT NULL, modified_ns BIGINT NOT NULL,"
    " signature CHAR(32), reason TEXT NOT NULL) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS sources_by_signature ON sources (signature)",
    "CREATE INDEX IF NOT EXISTS sources_in_quarantine ON sources (path) WHERE reason <> ''",
    "CREATE TABLE IF NOT EXISTS pins ("
    " number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, signature CHAR(32) NOT NULL,"
    " board TEXT NOT NULL, board_title TEXT NOT NULL, user_id TEXT NOT NULL, description TEXT NOT NULL,"
    " link TEXT NOT NULL, created TEXT NOT NULL, digest BIGINT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS pins_by_signature ON pins (signature)",
    "CREATE INDEX IF NOT EXISTS pins_by_board ON pins (board, signature)",
    "CREATE TABLE IF NOT EXISTS pin_words ("
    " word TEXT NOT NULL, pin INTEGER NOT NULL, PRIMARY KEY (word, pin)) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS words_by_pin ON pin_words (pin)",
    "CREATE TABLE IF NOT EXISTS shards ("
    " epoch CHAR(10) NOT NULL, shard INTEGER NOT NULL, images BIGINT NOT NULL, PRIMARY KEY (epoch, shard)) WITHOUT "
    "ROWID",
};

}  // namespace likeness
