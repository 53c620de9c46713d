#include "libs/storage/postgres/migrator.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "libs/pg/connection.h"
#include "libs/pg/sqlstate.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"

namespace coder::storage {
namespace {

constexpr char kLock[] = "SELECT pg_advisory_lock(hashtext('coder.schema_migrations'))";
constexpr char kCreateTable[] =
    "CREATE TABLE IF NOT EXISTS schema_migrations ("
    "  version integer PRIMARY KEY,"
    "  name text NOT NULL,"
    "  applied_at timestamptz NOT NULL DEFAULT clock_timestamp());"
    "GRANT SELECT ON schema_migrations TO PUBLIC;";
constexpr char kVersion[] = "SELECT coalesce(max(version), 0) FROM schema_migrations";
constexpr char kRecord[] = "INSERT INTO schema_migrations (version, name) VALUES ($1, $2)";
constexpr char kUndefinedTable[] = "42P01";

absl::Status CheckOrder(const std::vector<Migration>& migrations) {
  int last = 0;
  for (const Migration& migration : migrations) {
    if (migration.version <= last) {
      return absl::InvalidArgumentError(
          absl::StrCat("migrate the database: step ", migration.version, " (", migration.name,
                       ") follows step ", last, "; number the steps upwards from 1"));
    }
    last = migration.version;
  }
  return absl::OkStatus();
}

absl::Status RunStatements(pg::Connection& connection, const Migration& migration,
                           clock::Deadline deadline) {
  RETURN_IF_ERROR(connection.ExecuteScript("BEGIN", deadline));
  RETURN_IF_ERROR(connection.ExecuteScript(migration.sql, deadline));
  RETURN_IF_ERROR(
      connection.Execute(kRecord, {migration.version, migration.name}, deadline).status());
  return connection.ExecuteScript("COMMIT", deadline);
}

// On failure the caller closes the session, which rolls the step back.
absl::Status Apply(pg::Connection& connection, const Migration& migration,
                   clock::Deadline deadline) {
  return status::Prefix(
      RunStatements(connection, migration, deadline),
      absl::StrCat("migrate the database: step ", migration.version, " (", migration.name, ")"));
}

absl::StatusOr<int> VersionOf(pg::Connection& connection, clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result result, connection.Execute(kVersion, {}, deadline));
  return result.Get<int32_t>(0, 0);
}

}  // namespace

absl::StatusOr<MigrationReport> Migrate(const std::string& conninfo, clock::Deadline deadline,
                                        const std::vector<Migration>& migrations) {
  RETURN_IF_ERROR(CheckOrder(migrations));
  ASSIGN_OR_RETURN(const std::unique_ptr<pg::Connection> connection,
                   pg::Connection::Open({.conninfo = conninfo,
                                         .application_name = "coderd-api migrate",
                                         .statement_timeout = absl::ZeroDuration(),
                                         .lock_timeout = absl::ZeroDuration(),
                                         .idle_in_transaction_timeout = absl::Minutes(1)}));
  // Another migrator may hold this for long; only the deadline bounds the wait.
  RETURN_IF_ERROR(connection->Execute(kLock, {}, deadline).status());
  RETURN_IF_ERROR(connection->ExecuteScript("SET lock_timeout = '10s'", deadline));
  RETURN_IF_ERROR(connection->ExecuteScript(kCreateTable, deadline));
  ASSIGN_OR_RETURN(const int from, VersionOf(*connection, deadline));
  MigrationReport report{.from = from, .to = from};
  for (const Migration& migration : migrations) {
    if (migration.version <= from) continue;
    RETURN_IF_ERROR(Apply(*connection, migration, deadline));
    report.to = migration.version;
  }
  return report;
}

int LatestVersion() {
  return EmbeddedMigrations().empty() ? 0 : EmbeddedMigrations().back().version;
}

absl::Status CheckSchema(pg::Pool& pool, int min, int max, clock::Deadline deadline) {
  const absl::StatusOr<pg::Result> result = pool.Execute(kVersion, {}, deadline);
  const bool never_migrated = pg::SqlState(result.status()) == kUndefinedTable;
  if (!result.ok() && !never_migrated) {
    return status::Prefix(result.status(), "check the database's schema version");
  }
  const int version = never_migrated ? 0 : result->Get<int32_t>(0, 0);
  if (version < min) {
    return absl::FailedPreconditionError(absl::StrCat(
        "check the database's schema version: it is ", version, " and this program needs ", min,
        " to ", max, "; run `coderd-api migrate` of this release"));
  }
  if (version > max) {
    return absl::FailedPreconditionError(absl::StrCat(
        "check the database's schema version: it is ", version, " and this program knows ", min,
        " to ", max, "; `coderd-api migrate` of a newer release has run: deploy that release"));
  }
  return absl::OkStatus();
}

}  // namespace coder::storage
