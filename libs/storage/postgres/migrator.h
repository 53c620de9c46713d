#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/clock/deadline.h"
#include "libs/pg/pool.h"
#include "libs/storage/migrations/embedded_migrations.h"

namespace coder::storage {

/// What a run of Migrate did.
struct MigrationReport {
  /// Versions before and after; 0 is an empty database.
  int from = 0;
  int to = 0;
};

/// Brings a database forward to the last of `migrations`, each in a transaction of its own, and
/// records them in schema_migrations. Forward only: a database that is ahead stays as it is. Two
/// at once are safe: the second waits for the first and finds nothing to do. Locks of running
/// statements are waited for at most 10 s, so that a migration never stops the service behind it.
///   ABORTED            a lock was not granted in time; run it again
///   DEADLINE_EXCEEDED  the deadline passed; what was recorded until then stays
///   INVALID_ARGUMENT   versions do not rise, or the conninfo cannot be parsed
///   UNAVAILABLE        the database cannot be reached
///   others             as libs/pg/sqlstate.h; the failing step is rolled back and named
absl::StatusOr<MigrationReport> Migrate(
    const std::string& conninfo, clock::Deadline deadline,
    const std::vector<Migration>& migrations = EmbeddedMigrations());

/// The version of the last step built into this program.
int LatestVersion();

/// Checks that a database's version lies in [min, max], both included: what a service of this
/// build can work with while old and new run side by side.
///   FAILED_PRECONDITION  it does not; the sentence names both and what to run
///   others               as Pool::Acquire and libs/pg/sqlstate.h
absl::Status CheckSchema(pg::Pool& pool, int min, int max, clock::Deadline deadline);

}  // namespace coder::storage
