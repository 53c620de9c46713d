#include "libs/storage/postgres/event_log_rows.h"

#include <optional>
#include <string>

#include "libs/status/status_macros.h"

namespace coder::storage {
namespace {

constexpr char kPackFrom[] = R"sql(
SELECT first_position, last_position, sequenced_at FROM build_event_packs
WHERE first_position > $1::bigint - 64 AND last_position >= $1::bigint
ORDER BY first_position LIMIT 1)sql";

}  // namespace

std::vector<StoredPack> ReadStoredPacks(const pg::Result& rows) {
  std::vector<StoredPack> packs;
  packs.reserve(rows.rows());
  for (const pg::Result::Row row : rows) {
    const auto first = row.Get<std::optional<int64_t>>("first_position");
    if (!first) continue;
    packs.push_back({.first_position = *first,
                     .last_position = row.Get<int64_t>("last_position"),
                     .last_event_id = row.Get<int64_t>("last_event_id"),
                     .payload = row.Get<std::string>("payload"),
                     .committed_at = row.Get<absl::Time>("committed_at"),
                     .sequenced_at = row.Get<absl::Time>("sequenced_at")});
  }
  return packs;
}

absl::StatusOr<int64_t> FindPositionBefore(absl::Time time, int64_t log_floor, int64_t head,
                                           const RunStatement& run) {
  // Everything up to `before` was sequenced before `time`; everything from `after` on was not.
  int64_t before = log_floor - 1;
  int64_t after = head + 1;
  while (before + 1 < after) {
    const int64_t middle = before + (after - before) / 2;
    ASSIGN_OR_RETURN(const pg::Result rows, run(kPackFrom, {middle}));
    if (rows.empty()) {
      after = middle;
      continue;
    }
    if (rows[0].Get<absl::Time>("sequenced_at") < time) {
      before = rows[0].Get<int64_t>("last_position");
    } else {
      after = middle;
    }
  }
  return before;
}

}  // namespace coder::storage
