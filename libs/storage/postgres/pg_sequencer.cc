#include "libs/storage/postgres/pg_sequencer.h"

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "libs/clock/deadline.h"
#include "libs/status/status_macros.h"
#include "libs/storage/postgres/event_log_rows.h"

namespace coder::storage {
namespace {

constexpr absl::Duration kStatementLimit = absl::Seconds(10);

// Moves visible outbox rows into the log, as one statement that commits by itself.
//
// $1, $2: once no transaction before $2 runs, no row with an id up to $1 can still appear.
// $3: rows at most. $4: the position the stream has confirmed.
//
// `locked` makes relays take turns. The snapshot may be older than the lock; rows that the other
// relay has moved meanwhile are then skipped by DELETE, so none is moved twice. A snapshot that
// holds an event of a workspace holds all earlier ones, and ids follow commit order within a
// workspace, so no relay can swap two of them.
//
// `floor`: deleted rows below it are not even looked at, although a foreign snapshot may keep their
// dead versions. It only passes rows this statement has moved: all waiting up to `reached`.
//
// A row that is not one entry of a pack is put into a pack of its own, so that it takes no
// neighbour down. A pack holds at most 64 events and about half a mebibyte, less than a message of
// the stream may have.
constexpr char kSequence[] = R"sql(
WITH seen AS MATERIALIZED (
  SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xmin
), locked AS MATERIALIZED (
  SELECT c.epoch, c.head, c.outbox_floor FROM relay_cursor c
  WHERE EXISTS (SELECT FROM outbox o WHERE o.id > c.outbox_floor)
    OR $4::bigint > c.confirmed_position
    OR ($1::bigint > c.outbox_floor AND $2::bigint <= (SELECT xmin FROM seen))
  FOR UPDATE
), waiting AS MATERIALIZED (
  SELECT o.id, o.ctid AS place FROM outbox o
  WHERE o.id > (SELECT outbox_floor FROM locked) ORDER BY o.id LIMIT $3::bigint
), moved AS MATERIALIZED (
  DELETE FROM outbox WHERE ctid = ANY (ARRAY(SELECT place FROM waiting))
  RETURNING id, payload, created_at
), checked AS (
  SELECT *, CASE WHEN octet_length(payload) < 5 OR get_byte(payload, 0) <> 10 THEN true
    WHEN get_byte(payload, 1) < 128 THEN get_byte(payload, 1) + 2 <> octet_length(payload)
    WHEN get_byte(payload, 2) < 128 THEN
      (get_byte(payload, 1) & 127) + (get_byte(payload, 2) << 7) + 3 <> octet_length(payload)
    ELSE (get_byte(payload, 1) & 127) + ((get_byte(payload, 2) & 127) << 7)
      + (get_byte(payload, 3) << 14) + 4 <> octet_length(payload) END AS broken
  FROM moved
), numbered AS (
  SELECT id, payload, created_at, row_number() OVER w AS n,
    2 * (count(*) FILTER (WHERE broken) OVER w) - broken::int AS run
  FROM checked WINDOW w AS (ORDER BY id)
), cut AS (
  SELECT *, (row_number() OVER w - 1) / 64 AS sixty_fourth,
    sum(octet_length(payload)) OVER w / 524288 AS half_mebibyte
  FROM numbered WINDOW w AS (PARTITION BY run ORDER BY n)
), stored AS (
  INSERT INTO build_event_packs (first_position, last_position, epoch, last_event_id, payload,
    committed_at)
  SELECT l.head + min(c.n), l.head + max(c.n), l.epoch, max(c.id),
    string_agg(c.payload, ''::bytea ORDER BY c.n), min(c.created_at)
  FROM cut c CROSS JOIN locked l
  GROUP BY l.head, l.epoch, c.run, c.sixty_fourth, c.half_mebibyte
  RETURNING first_position, last_position, last_event_id, payload, committed_at, sequenced_at
), tally AS (
  SELECT count(*) AS events, coalesce(max(id), 0) AS last_id FROM moved
), reached AS (
  SELECT CASE WHEN count(*) < $3::bigint THEN 9223372036854775807 ELSE max(id) END AS id
  FROM waiting
), advanced AS (
  UPDATE relay_cursor r SET head = l.head + t.events,
    last_event_id = greatest(r.last_event_id, t.last_id),
    outbox_floor = greatest(l.outbox_floor,
      CASE WHEN $2::bigint <= s.xmin THEN least($1::bigint, q.id) ELSE 0 END),
    confirmed_position = greatest(r.confirmed_position, $4::bigint),
    updated_at = clock_timestamp()
  FROM locked l, tally t, reached q, seen s
  WHERE r.singleton
)
SELECT s.xmin, coalesce(pg_current_xact_id_if_assigned()::text::bigint, 0) AS xid, l.epoch, l.head + t.events AS head, t.events, t.last_id,
  p.first_position, p.last_position, p.last_event_id, p.payload, p.committed_at, p.sequenced_at
FROM seen s CROSS JOIN tally t LEFT JOIN locked l ON true LEFT JOIN stored p ON true
ORDER BY p.first_position)sql";

constexpr char kCursor[] = "SELECT epoch, head, log_floor, confirmed_position FROM relay_cursor";

// Positions are dense, so a bound on the first position bounds the events.
constexpr char kPacks[] = R"sql(
SELECT first_position, last_position, last_event_id, payload, committed_at, sequenced_at
FROM build_event_packs
WHERE first_position > $1::bigint - 64 AND last_position > $1::bigint
  AND first_position <= $1::bigint + $2::bigint
ORDER BY first_position)sql";

// An older state of the database does not know the epochs that began after it, so the number is
// taken from the time and used once for all time.
constexpr char kBeginEpoch[] = R"sql(
WITH begun AS (
  UPDATE relay_cursor
  SET epoch = greatest($2::bigint, extract(epoch FROM clock_timestamp())::bigint), updated_at = clock_timestamp()
  WHERE epoch = $1::bigint RETURNING epoch)
SELECT coalesce((SELECT epoch FROM begun), (SELECT epoch FROM relay_cursor)) AS epoch)sql";

constexpr char kOutbox[] = R"sql(
SELECT count(*) AS rows,
  coalesce(greatest(clock_timestamp() - min(o.created_at), interval '0'), interval '0') AS oldest
FROM outbox o, relay_cursor c WHERE o.id > c.outbox_floor)sql";

}  // namespace

absl::StatusOr<int64_t> PgSequencer::Session() {
  if (connection_ != nullptr && connection_->reusable() && connection_->AliveWhenIdle()) {
    return session_;
  }
  connection_.reset();
  floor_candidate_ = 0;
  ASSIGN_OR_RETURN(auto connection, pg::Connection::Open(options_));
  // The outbox is empty most of the time and huge after an outage: no plan made for the one may
  // read the whole table for the other. The price put on such a plan would have each statement
  // compiled for seconds.
  RETURN_IF_ERROR(connection->ExecuteScript("SET enable_seqscan = off; SET jit = off",
                                            clock::Deadline::After(kStatementLimit)));
  connection_ = std::move(connection);
  return ++session_;
}

absl::StatusOr<pg::Result> PgSequencer::Run(const char* sql, std::vector<pg::Param> params) {
  RETURN_IF_ERROR(Session().status());
  return connection_->Execute(sql, std::move(params), clock::Deadline::After(kStatementLimit));
}

absl::StatusOr<pg::Result> PgSequencer::RunOn(int64_t session, const char* sql,
                                              std::vector<pg::Param> params) {
  if (connection_ == nullptr || session != session_ || !connection_->reusable()) {
    return absl::FailedPreconditionError(
        absl::StrCat("ask the event log: database session ", session, " is over; check anew"));
  }
  return connection_->Execute(sql, std::move(params), clock::Deadline::After(kStatementLimit));
}

absl::StatusOr<Sequenced> PgSequencer::Sequence(int64_t session, int64_t max_events,
                                                int64_t confirmed) {
  ASSIGN_OR_RETURN(
      const pg::Result rows,
      RunOn(session, kSequence, {floor_candidate_, settles_at_, max_events, confirmed}));
  const pg::Result::Row first = rows[0];
  Sequenced sequenced;
  sequenced.epoch = first.Get<std::optional<int64_t>>("epoch");
  sequenced.events = first.Get<int64_t>("events");
  if (sequenced.epoch) sequenced.head = first.Get<int64_t>("head");
  if (sequenced.events > 0) sequenced.packs = ReadStoredPacks(rows);
  // What was waited for is settled: the floor passed it, unless the bound was reached before it.
  const bool settled = settles_at_ <= first.Get<int64_t>("xmin");
  const int64_t last_id = first.Get<int64_t>("last_id");
  const bool passed = sequenced.events < max_events || last_id >= floor_candidate_;
  if (settled && passed) floor_candidate_ = 0;
  if (floor_candidate_ == 0 && last_id > 0) {
    floor_candidate_ = last_id;
    // Whoever drew an id below it had a transaction id by then, below that of this statement. The
    // snapshot's xmax would not do: running transactions may lie above it.
    settles_at_ = first.Get<int64_t>("xid");
  }
  return sequenced;
}

absl::StatusOr<LogCursor> PgSequencer::ReadCursor(int64_t session) {
  ASSIGN_OR_RETURN(const pg::Result rows, RunOn(session, kCursor, {}));
  const pg::Result::Row row = rows[0];
  return LogCursor{.epoch = row.Get<int64_t>("epoch"),
                   .head = row.Get<int64_t>("head"),
                   .log_floor = row.Get<int64_t>("log_floor"),
                   .confirmed_position = row.Get<int64_t>("confirmed_position")};
}

absl::StatusOr<std::vector<StoredPack>> PgSequencer::ReadPacks(int64_t session, int64_t after,
                                                               int64_t max_events) {
  ASSIGN_OR_RETURN(const pg::Result rows, RunOn(session, kPacks, {after, max_events}));
  return ReadStoredPacks(rows);
}

absl::StatusOr<int64_t> PgSequencer::BeginEpoch(int64_t session, int64_t current, int64_t next) {
  // An UPDATE within WITH is not seen by the rest of its statement, hence the two answers.
  ASSIGN_OR_RETURN(const pg::Result rows, RunOn(session, kBeginEpoch, {current, next}));
  return rows[0].Get<int64_t>("epoch");
}

absl::StatusOr<int> PgSequencer::EnsurePartitions(int ahead) {
  ASSIGN_OR_RETURN(const pg::Result rows,
                   Run("SELECT ensure_event_log_partitions($1::int) AS made", {ahead}));
  return rows[0].Get<int32_t>("made");
}

absl::StatusOr<int64_t> PgSequencer::DropPartitions(int64_t keep_from) {
  ASSIGN_OR_RETURN(const pg::Result rows,
                   Run("SELECT drop_event_log_partitions($1::bigint) AS floor", {keep_from}));
  return rows[0].Get<int64_t>("floor");
}

absl::StatusOr<int64_t> PgSequencer::PositionBefore(absl::Time time) {
  ASSIGN_OR_RETURN(const int64_t session, Session());
  ASSIGN_OR_RETURN(const LogCursor cursor, ReadCursor(session));
  return FindPositionBefore(time, cursor.log_floor, cursor.head,
                            [&](const char* sql, std::vector<pg::Param> params) {
                              return RunOn(session, sql, std::move(params));
                            });
}

absl::StatusOr<absl::Time> PgSequencer::DatabaseNow() {
  ASSIGN_OR_RETURN(const pg::Result rows, Run("SELECT clock_timestamp() AS now", {}));
  return rows[0].Get<absl::Time>("now");
}

absl::StatusOr<OutboxStats> PgSequencer::ReadOutboxStats() {
  ASSIGN_OR_RETURN(const pg::Result rows, Run(kOutbox, {}));
  return OutboxStats{.rows = rows[0].Get<int64_t>("rows"),
                     .oldest_age = rows[0].Get<absl::Duration>("oldest")};
}

}  // namespace coder::storage
