#include "libs/storage/postgres/event_log_epoch.h"

#include "absl/status/status.h"
#include "libs/status/status_macros.h"

namespace coder::storage {

absl::StatusOr<int64_t> BumpEpoch(pg::Pool& pool, clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result result,
                   pool.Execute("UPDATE relay_cursor SET epoch = greatest(epoch + 1, "
                                "extract(epoch FROM clock_timestamp())::bigint) RETURNING epoch",
                                {}, deadline));
  if (result.empty()) return absl::InternalError("begin epoch: the log has no cursor row");
  return result.Get<int64_t>(0, 0);
}

}  // namespace coder::storage
