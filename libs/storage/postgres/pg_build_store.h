#pragma once

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/clock/deadline.h"
#include "libs/ids/uuid.h"
#include "libs/pg/pool.h"
#include "libs/storage/build_store.h"

namespace coder::storage {

/// Builds in PostgreSQL.
class PgBuildStore : public BuildStore {
 public:
  /// Both must outlive the store.
  PgBuildStore(pg::Pool& pool, ids::UuidV7Generator& ids) : pool_(pool), ids_(ids) {}

  absl::StatusOr<BuildRecord> Create(const BuildOrder& order, clock::Deadline deadline) override;
  absl::StatusOr<BuildRecord> Get(const lifecycle::BuildId& id, clock::Deadline deadline) override;
  absl::StatusOr<BuildRecord> GetByNumber(const lifecycle::WorkspaceId& workspace, int32_t number,
                                          clock::Deadline deadline) override;
  absl::StatusOr<std::vector<BuildRecord>> List(const lifecycle::WorkspaceId& workspace,
                                                const std::optional<int32_t>& below, int limit,
                                                clock::Deadline deadline) override;
  absl::StatusOr<BuildRecord> Cancel(const lifecycle::BuildId& id,
                                     const std::optional<lifecycle::JobStatus>& expected,
                                     clock::Deadline deadline) override;
  absl::StatusOr<std::vector<lifecycle::NameValue>> ListParameters(
      const lifecycle::BuildId& id, clock::Deadline deadline) override;
  absl::StatusOr<std::vector<ResourceView>> ListResources(const lifecycle::JobId& job,
                                                          clock::Deadline deadline) override;
  absl::StatusOr<BuildRecord> ResolveLateState(const lifecycle::BuildId& id, bool adopt,
                                               clock::Deadline deadline) override;

 private:
  pg::Pool& pool_;
  ids::UuidV7Generator& ids_;
};

}  // namespace coder::storage
