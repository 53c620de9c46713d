#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/pg/pool.h"
#include "libs/storage/workspace_snapshot_store.h"

namespace coder::storage {

// Current states from PostgreSQL, each page a statement of its own; runs as the role coder_api.
class PgWorkspaceSnapshot : public WorkspaceSnapshotStore {
 public:
  // `pool` must outlive this. A page takes at most `limit`.
  explicit PgWorkspaceSnapshot(pg::Pool& pool, absl::Duration limit = absl::Seconds(5))
      : pool_(pool), limit_(limit) {}

  absl::StatusOr<std::vector<WorkspaceState>> Page(const std::string& after, int limit,
                                                   const events::WatchFilter& filter,
                                                   const events::WatchRights& rights) override;

 private:
  pg::Pool& pool_;
  const absl::Duration limit_;
};

}  // namespace coder::storage
