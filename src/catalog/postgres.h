// What is PostgreSQL's own: its addresses, and what its errors mean.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

namespace likeness {

// libpq's connection string for postgresql://USER@HOST:PORT/DATABASE, with time limits: 4 s for a connection, and a
// server that has fallen silent is given up within about half a minute. Errors: InvalidArgument, with what to write;
// also when a password is in it, which is never repeated.
absl::StatusOr<std::string> PostgresConninfo(const std::string& url);

// Statements that every connection begins with.
std::span<const char* const> PostgresSettings();

// Why a connection was not made, and what to do. `message`: what libpq said.
absl::Status PostgresRefused(std::string_view message);

// Whether another transaction was in the way, so that the same again may succeed. `state`: SQLSTATE.
bool IsConflict(std::string_view state);
// Whether the server is ending, has ended, or is not ready yet.
bool IsShutdown(std::string_view state);
absl::Status FromPostgres(std::string_view state, std::string_view message);

// A server's message without its hints and positions.
std::string FirstLine(std::string_view message);

}  // namespace likeness
