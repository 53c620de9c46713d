#include "libs/storage/postgres/testing/event_rows.h"

#include <stdexcept>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/clock/deadline.h"
#include "libs/pg/transaction.h"
#include "libs/status/status_macros.h"
#include "libs/storage/postgres/build_event_writer.h"

namespace coder::storage {
namespace {

clock::Deadline Ample() { return clock::Deadline::After(absl::Minutes(1)); }

void Check(const absl::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.ToString());
}

}  // namespace

void EventRows::Commit(int64_t workspace_version, const std::string& framed) {
  Check(pool_
            .Execute("INSERT INTO outbox (workspace_id, workspace_version, payload) "
                     "VALUES (gen_random_uuid(), $1, $2)",
                     {workspace_version, pg::Bytea{framed}}, Ample())
            .status());
}

void EventRows::CommitEventOf(const lifecycle::BuildId& build) {
  Check(pg::RunInTransaction(
      pool_, {.deadline = Ample()}, [&build](pg::Transaction& tx) -> absl::Status {
        RETURN_IF_ERROR(tx.Execute("SELECT w.id FROM workspaces w JOIN workspace_builds b "
                                   "ON b.workspace_id = w.id WHERE b.id = $1 FOR UPDATE OF w",
                                   {build.ToString()})
                            .status());
        return WriteBuildEvent(tx, build);
      }));
}

int64_t EventRows::Head() {
  const auto head = pool_.Execute("SELECT head FROM relay_cursor", {}, Ample());
  Check(head.status());
  return head->Get<int64_t>(0, 0);
}

void EventRows::SetBackToNothing() {
  Check(pool_.Execute("DELETE FROM build_event_packs", {}, Ample()).status());
  Check(pool_
            .Execute("UPDATE relay_cursor SET head = 0, last_event_id = 0, confirmed_position = 0",
                     {}, Ample())
            .status());
}

}  // namespace coder::storage
