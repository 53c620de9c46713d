#include "libs/storage/postgres/pg_event_log.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/clock/deadline.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"
#include "libs/storage/postgres/event_log_rows.h"

namespace coder::storage {
namespace {

constexpr char kBounds[] = "SELECT epoch, log_floor, head, confirmed_position FROM relay_cursor";

// Positions are dense, so a bound on the first position bounds the events. The cursor is read in
// the same statement, so that epoch and floor are those of the packs.
constexpr char kRead[] = R"sql(
SELECT c.epoch, c.log_floor, c.head, c.confirmed_position, p.first_position, p.last_position, p.last_event_id, p.payload
FROM relay_cursor c LEFT JOIN build_event_packs p
  ON p.first_position > $1::bigint - 64 AND p.last_position > $1::bigint
  AND p.first_position <= least($2::bigint, $1::bigint + $3::bigint)
ORDER BY p.first_position)sql";

constexpr char kBoundsPast[] = R"sql(
SELECT epoch, log_floor, head, confirmed_position FROM relay_cursor
WHERE NOT EXISTS (SELECT FROM outbox WHERE id <= $1::bigint))sql";

fanout::LogBounds ReadBounds(const pg::Result::Row& row) {
  return {.epoch = row.Get<int64_t>("epoch"),
          .floor = row.Get<int64_t>("log_floor"),
          .head = row.Get<int64_t>("head"),
          .confirmed = row.Get<int64_t>("confirmed_position")};
}

// Whoever reads the log only wants to know whether to come again.
absl::Status Unreachable(const absl::Status& status) {
  if (status.ok() || status.code() == absl::StatusCode::kUnavailable) return status;
  return status::WithInternalDetail(
      absl::UnavailableError(absl::StrCat("read the event log: ", status.ToString())));
}

}  // namespace

absl::StatusOr<fanout::LogBounds> PgEventLog::Bounds() {
  const auto rows = pool_.Execute(kBounds, {}, clock::Deadline::After(limit_));
  if (!rows.ok()) return Unreachable(rows.status());
  return ReadBounds((*rows)[0]);
}

absl::StatusOr<std::vector<std::shared_ptr<const events::Pack>>> PgEventLog::Read(
    int64_t after, int64_t up_to, int64_t max_events) {
  const auto rows = pool_.Execute(kRead, {after, up_to, std::max<int64_t>(max_events, 1)},
                                  clock::Deadline::After(limit_));
  if (!rows.ok()) return Unreachable(rows.status());
  const fanout::LogBounds bounds = ReadBounds((*rows)[0]);
  if (after + 1 < bounds.floor) {
    return absl::OutOfRangeError(absl::StrCat("read the event log after position ", after,
                                              ": it begins at ", bounds.floor,
                                              "; take a snapshot"));
  }
  std::vector<std::shared_ptr<const events::Pack>> packs;
  int64_t next = after + 1;
  for (const pg::Result::Row row : *rows) {
    const auto first = row.Get<std::optional<int64_t>>("first_position");
    if (!first) break;
    if (*first > next) {
      // A partition was dropped between planning and reading: the floor says so the next time.
      return absl::UnavailableError(absl::StrCat("read the event log: positions ", next, " to ",
                                                 *first - 1, " are missing; try again"));
    }
    const auto last = row.Get<int64_t>("last_position");
    packs.push_back(events::Pack::Read({.epoch = bounds.epoch,
                                        .first_position = *first,
                                        .last_position = last,
                                        .last_event_id = row.Get<int64_t>("last_event_id")},
                                       row.Get<std::string>("payload")));
    next = last + 1;
  }
  return packs;
}

absl::StatusOr<int64_t> PgEventLog::PositionBefore(absl::Time time) {
  ASSIGN_OR_RETURN(const fanout::LogBounds bounds, Bounds());
  const clock::Deadline deadline = clock::Deadline::After(limit_);
  const auto found = FindPositionBefore(time, bounds.floor, bounds.head,
                                        [&](const char* sql, std::vector<pg::Param> params) {
                                          return pool_.Execute(sql, std::move(params), deadline);
                                        });
  if (!found.ok()) return Unreachable(found.status());
  return *found;
}

absl::StatusOr<int64_t> PgEventLog::HighestOutboxId() {
  const auto rows = pool_.Execute("SELECT coalesce(max(id), 0) AS id FROM outbox", {},
                                  clock::Deadline::After(limit_));
  if (!rows.ok()) return Unreachable(rows.status());
  return (*rows)[0].Get<int64_t>("id");
}

absl::StatusOr<std::optional<fanout::LogBounds>> PgEventLog::BoundsPast(int64_t outbox_id) {
  const auto rows = pool_.Execute(kBoundsPast, {outbox_id}, clock::Deadline::After(limit_));
  if (!rows.ok()) return Unreachable(rows.status());
  if (rows->empty()) return std::optional<fanout::LogBounds>();
  return std::optional(ReadBounds((*rows)[0]));
}

}  // namespace coder::storage
