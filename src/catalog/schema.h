// The tables of the catalog, and all in which the two engines differ. docs/formats/catalog.md tells what they hold.
#pragma once

#include <string>
#include <vector>

namespace likeness {

enum class Engine { kSqlite, kPostgres };

// Raised whenever a table changes; an older catalog is brought up to date when it is opened, a newer one is refused.
inline constexpr int kCatalogVersion = 3;

// Statements that make all tables, indexes and views of the current version.
std::vector<std::string> SchemaOf(Engine engine);

// The few words that are not the same in both.
struct Dialect {
  const char* begin_write;  // begins a transaction that will write
  const char* lock_state;   // at the end of a SELECT on catalog_state: nobody else writes images until the end
  const char* lock_schema;  // a statement that keeps others from making tables at the same time; empty: not needed
  const char* now;          // seconds since the Unix epoch, by the engine's clock
};
const Dialect& DialectOf(Engine engine);

}  // namespace likeness
