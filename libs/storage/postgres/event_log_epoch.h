#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "libs/clock/deadline.h"
#include "libs/pg/pool.h"

namespace coder::storage {

/// Begins a new epoch of the event log and returns it: resume tokens of earlier ones are refused.
/// For a database that went back in time, such as a restored one; run as the schema's owner.
/// Errors as Pool::Execute.
absl::StatusOr<int64_t> BumpEpoch(pg::Pool& pool, clock::Deadline deadline);

}  // namespace coder::storage
