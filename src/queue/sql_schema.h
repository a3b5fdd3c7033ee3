// The tables of the queue. The same columns in both databases; `number` counts up as tasks are published.
#pragma once

namespace likeness {

inline constexpr int kQueueVersion = 1;

inline constexpr const char* kSqliteTasks =
    "CREATE TABLE IF NOT EXISTS queue_tasks ("
    " number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, payload TEXT NOT NULL,"
    " published_ms BIGINT NOT NULL, attempts INTEGER NOT NULL, delivery BIGINT NOT NULL, worker TEXT NOT NULL,"
    " lease_end BIGINT)";
inline constexpr const char* kPostgresTasks =
    "CREATE TABLE IF NOT EXISTS queue_tasks ("
    " number BIGSERIAL PRIMARY KEY, id TEXT NOT NULL UNIQUE, payload TEXT NOT NULL,"
    " published_ms BIGINT NOT NULL, attempts INTEGER NOT NULL, delivery BIGINT NOT NULL, worker TEXT NOT NULL,"
    " lease_end BIGINT)";

// `lease_end` is null while a task waits. `delivery` names who holds it: it grows with every delivery and every return.
// queue_activity counts what workers did in each second; older seconds are folded into second 0 of the worker ''.
// queue_state holds the version, and on SQLite the start of the machine that the leases belong to.
inline constexpr const char* kQueueSchema[] = {
    "CREATE INDEX IF NOT EXISTS queue_waiting ON queue_tasks (number) WHERE lease_end IS NULL",
    "CREATE INDEX IF NOT EXISTS queue_leased ON queue_tasks (lease_end) WHERE lease_end IS NOT NULL",
    "CREATE TABLE IF NOT EXISTS queue_activity ("
    " worker TEXT NOT NULL, second BIGINT NOT NULL, delivered BIGINT NOT NULL, acknowledged BIGINT NOT NULL,"
    " PRIMARY KEY (worker, second))",
    "CREATE TABLE IF NOT EXISTS queue_state (name VARCHAR(32) NOT NULL PRIMARY KEY, value TEXT NOT NULL)",
};

}  // namespace likeness
