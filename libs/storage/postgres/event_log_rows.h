#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/pg/param.h"
#include "libs/pg/result.h"
#include "libs/storage/event_sequencer.h"

namespace coder::storage {

// The packs in rows that have the columns of build_event_packs but for the epoch. Rows without a
// first position are left out.
std::vector<StoredPack> ReadStoredPacks(const pg::Result& rows);

// Runs one statement on whatever session the caller has.
using RunStatement =
    std::function<absl::StatusOr<pg::Result>(const char* sql, std::vector<pg::Param> params)>;

// The last position whose pack was sequenced before `time`, or `log_floor` - 1 when none of the
// log's was; at most `head`. Packs are sequenced under one lock, so their times rise with their
// positions and the log is searched by halving. Errors are those of `run`.
absl::StatusOr<int64_t> FindPositionBefore(absl::Time time, int64_t log_floor, int64_t head,
                                           const RunStatement& run);

}  // namespace coder::storage
