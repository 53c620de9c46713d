#pragma once

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/clock/deadline.h"
#include "libs/ids/uuid.h"
#include "libs/pg/pool.h"
#include "libs/pg/transaction.h"
#include "libs/storage/workspace_store.h"

namespace coder::storage {

/// Workspaces in PostgreSQL.
class PgWorkspaceStore : public WorkspaceStore {
 public:
  /// Both must outlive the store.
  PgWorkspaceStore(pg::Pool& pool, ids::UuidV7Generator& ids) : pool_(pool), ids_(ids) {}

  absl::StatusOr<OwnerRecord> FindOwner(absl::string_view id_or_username,
                                        clock::Deadline deadline) override;
  absl::StatusOr<TemplateChoice> FindTemplate(
      const std::optional<lifecycle::TemplateId>& template_id,
      const std::optional<lifecycle::TemplateVersionId>& version,
      clock::Deadline deadline) override;
  absl::StatusOr<WorkspaceRecord> Create(const NewWorkspace& workspace,
                                         clock::Deadline deadline) override;
  absl::StatusOr<WorkspaceRecord> Get(const lifecycle::WorkspaceId& id,
                                      clock::Deadline deadline) override;
  absl::StatusOr<WorkspaceRecord> GetByName(absl::string_view owner_name, absl::string_view name,
                                            bool include_deleted,
                                            clock::Deadline deadline) override;
  absl::StatusOr<std::vector<WorkspaceRecord>> List(
      const WorkspaceFilter& filter, const std::optional<lifecycle::WorkspaceId>& after, int limit,
      clock::Deadline deadline) override;
  absl::StatusOr<WorkspaceRecord> Update(const lifecycle::WorkspaceId& id,
                                         const WorkspaceChange& change,
                                         clock::Deadline deadline) override;
  absl::StatusOr<WorkspaceRecord> Extend(const lifecycle::WorkspaceId& id, absl::Time deadline_at,
                                         clock::Deadline deadline) override;
  absl::StatusOr<WorkspaceRecord> SetDormant(const lifecycle::WorkspaceId& id, bool dormant,
                                             clock::Deadline deadline) override;
  absl::StatusOr<std::vector<OutcomeRecord>> ListOutcomes(const lifecycle::WorkspaceId& id,
                                                          int limit,
                                                          clock::Deadline deadline) override;

 private:
  absl::StatusOr<lifecycle::WorkspaceId> Insert(pg::Transaction& tx, const NewWorkspace& workspace);

  pg::Pool& pool_;
  ids::UuidV7Generator& ids_;
};

/// The workspace as `tx` sees it. NOT_FOUND.
absl::StatusOr<WorkspaceRecord> ReadWorkspace(pg::Transaction& tx,
                                              const lifecycle::WorkspaceId& id);

}  // namespace coder::storage
