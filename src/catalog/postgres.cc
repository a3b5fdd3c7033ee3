#include "catalog/postgres.h"

#include <libpq-fe.h>

#include <memory>
#include <utility>

namespace likeness {
namespace {

constexpr const char* kForm = "write it as postgresql://USER@HOST:PORT/DATABASE";

bool Contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

}  // namespace

absl::StatusOr<std::string> PostgresConninfo(const std::string& url) {
  if (!url.starts_with("postgresql://") && !url.starts_with("postgres://")) {
    return absl::InvalidArgumentError(std::string("the address is none of PostgreSQL: ") + kForm);
  }
  char* problem = nullptr;
  const std::unique_ptr<PQconninfoOption, decltype(&::PQconninfoFree)> options(::PQconninfoParse(url.c_str(), &problem),
                                                                               &::PQconninfoFree);
  // The parser's message may repeat the address, and with it a password.
  if (problem != nullptr) ::PQfreemem(problem);
  if (options == nullptr) {
    return absl::InvalidArgumentError(std::string("the address of PostgreSQL cannot be understood: ") + kForm);
  }
  std::string conninfo;
  bool database = false;
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val == nullptr || *option->val == '\0') continue;
    const std::string_view keyword = option->keyword, value = option->val;
    if (keyword == "password" || keyword == "sslpassword") {
      return absl::InvalidArgumentError(
          "the address of PostgreSQL holds a password: leave it out, and keep it in a file that PGPASSFILE names (a "
          "line "
          "HOST:PORT:DATABASE:USER:PASSWORD) or in PGPASSWORD");
    }
    // SOCI takes a connection string apart at spaces, quoted or not.
    if (value.find_first_of(" \t\n\r'\\") != std::string_view::npos) {
      return absl::InvalidArgumentError(
          "the address of PostgreSQL has a space, a quotation mark or a backslash in its " + std::string(keyword) +
          ": use a value without");
    }
    database |= keyword == "dbname";
    conninfo += std::string(keyword) + "=" + std::string(value) + " ";
  }
  if (!database)
    return absl::InvalidArgumentError(std::string("the address of PostgreSQL names no database: ") + kForm);
  const std::pair<std::string_view, std::string_view> usual[] = {
      {"connect_timeout", "4"},     {"application_name", "likeness"}, {"client_encoding", "UTF8"},
      {"keepalives_idle", "10"},    {"keepalives_interval", "5"},     {"keepalives_count", "3"},
      {"tcp_user_timeout", "25000"}};
  for (const auto& [keyword, value] : usual) {
    if (Contains(" " + conninfo, " " + std::string(keyword) + "=")) continue;
    conninfo += std::string(keyword) + "=" + std::string(value) + " ";
  }
  conninfo.pop_back();
  return conninfo;
}

std::span<const char* const> PostgresSettings() {
  static constexpr const char* kSettings[] = {
      // A writer that was stopped in the middle must not hold up all others for ever.
      "SET lock_timeout = '30s'",
      "SET idle_in_transaction_session_timeout = '120s'",
      "SET client_min_messages = warning",
      "SET default_transaction_isolation = 'read committed'",
  };
  return kSettings;
}

absl::Status PostgresRefused(std::string_view message) {
  const std::string said = FirstLine(message);
  if (Contains(message, "password authentication failed") || Contains(message, "no password supplied")) {
    return absl::FailedPreconditionError(
        "PostgreSQL refuses the password: put the right one into the file that PGPASSFILE names, or into "
        "PGPASSWORD (" +
        said + ")");
  }
  if (Contains(message, "database \"") && Contains(message, "does not exist")) {
    return absl::FailedPreconditionError("the database does not exist: make it with createdb (" + said + ")");
  }
  if (Contains(message, "role \"") && Contains(message, "does not exist")) {
    return absl::FailedPreconditionError("PostgreSQL does not know the user: make it with createuser (" + said + ")");
  }
  if (Contains(message, "pg_hba.conf")) {
    return absl::FailedPreconditionError("PostgreSQL does not let this machine in: add it to pg_hba.conf (" + said +
                                         ")");
  }
  return absl::UnavailableError("the database cannot be reached: is PostgreSQL running at that address? (" + said +
                                ")");
}

bool IsConflict(std::string_view state) {
  // Serialization failure, deadlock, a row or a table that another has made meanwhile.
  return state == "40001" || state == "40P01" || state == "23505" || state == "42P07";
}

bool IsShutdown(std::string_view state) {
  return state.starts_with("57P") || state.starts_with("08") || state == "25P03";
}

absl::Status FromPostgres(std::string_view state, std::string_view message) {
  const std::string said = "catalog: " + FirstLine(message);
  if (state.starts_with("53")) return absl::ResourceExhaustedError(said);  // disk full, memory, connections
  if (state.starts_with("XX00")) return absl::DataLossError(said);
  if (state == "55P03" || state == "57014") {
    return absl::UnavailableError(said + ": another process has been changing the catalog for too long");
  }
  if (state == "42501") return absl::FailedPreconditionError(said + ": let the user of the address make tables there");
  if (state == "25006") return absl::FailedPreconditionError(said + ": the server is a standby, or read-only");
  if (IsConflict(state)) return absl::UnavailableError(said);
  return absl::InternalError(said);
}

std::string FirstLine(std::string_view message) {
  // "Cannot establish connection to the database.\nconnection to server ... failed: ..." and "...\nHINT: ..."
  constexpr std::string_view kPreface = "Cannot establish connection to the database.";
  if (message.starts_with(kPreface)) message.remove_prefix(kPreface.size());
  while (!message.empty() && (message.front() == '\n' || message.front() == ' ')) message.remove_prefix(1);
  std::string line(message.substr(0, message.find('\n')));
  // A refused port is reported in two lines, the second of which is libpq's question.
  while (!line.empty() && (line.back() == ' ' || line.back() == ':')) line.pop_back();
  return line;
}

}  // namespace likeness
