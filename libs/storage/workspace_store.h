#pragma once

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/clock/deadline.h"
#include "libs/lifecycle/ids.h"
#include "libs/storage/workspace_records.h"

namespace coder::storage {

/// Workspaces. Each method is one transaction by the database's clock. Safe to call from many
/// threads. Every method may also return UNAVAILABLE, DEADLINE_EXCEEDED or RESOURCE_EXHAUSTED, and
/// a changing one UNKNOWN when it is open whether the change was made.
class WorkspaceStore {
 public:
  virtual ~WorkspaceStore() = default;

  /// The user with this id or, ignoring case, username. NOT_FOUND.
  virtual absl::StatusOr<OwnerRecord> FindOwner(absl::string_view id_or_username,
                                                clock::Deadline deadline) = 0;

  /// What `version` belongs to, or, without one, `template_id` with its active version. NOT_FOUND
  /// also for deleted templates and versions that are not part of a template yet.
  virtual absl::StatusOr<TemplateChoice> FindTemplate(
      const std::optional<lifecycle::TemplateId>& template_id,
      const std::optional<lifecycle::TemplateVersionId>& version, clock::Deadline deadline) = 0;

  /// Makes a workspace and queues its first start, with the event. The same request again returns
  /// the workspace as it is now.
  ///   ALREADY_EXISTS       reason NAME_TAKEN: the owner has a workspace of this name
  ///   INVALID_ARGUMENT     a bad name, schedule, TTL or parameter, with violations; an owner who
  ///                        is no active member of the organization; REQUEST_ID_REUSED
  ///   FAILED_PRECONDITION  AUTOSTART_FORBIDDEN, AUTOSTOP_FORBIDDEN, and as CheckNewBuild
  ///   PERMISSION_DENIED    as CheckNewBuild
  ///   NOT_FOUND            the template or version is gone
  virtual absl::StatusOr<WorkspaceRecord> Create(const NewWorkspace& workspace,
                                                 clock::Deadline deadline) = 0;

  /// NOT_FOUND; deleted workspaces are found all the same.
  virtual absl::StatusOr<WorkspaceRecord> Get(const lifecycle::WorkspaceId& id,
                                              clock::Deadline deadline) = 0;

  /// By the owner's username and the workspace's name, ignoring case; of several deleted ones the
  /// newest, and a living one before them. NOT_FOUND.
  virtual absl::StatusOr<WorkspaceRecord> GetByName(absl::string_view owner_name,
                                                    absl::string_view name, bool include_deleted,
                                                    clock::Deadline deadline) = 0;

  /// At most `limit` workspaces by id, after `after` if given, in one statement.
  virtual absl::StatusOr<std::vector<WorkspaceRecord>> List(
      const WorkspaceFilter& filter, const std::optional<lifecycle::WorkspaceId>& after, int limit,
      clock::Deadline deadline) = 0;

  /// Changes a workspace and its revision. A TTL holds from the next start; taking it away lets a
  /// running workspace run until its maximum deadline.
  ///   NOT_FOUND            there is none, or it is deleted
  ///   ABORTED              reason ETAG_MISMATCH: it is at another revision
  ///   ALREADY_EXISTS       reason NAME_TAKEN
  ///   INVALID_ARGUMENT     a bad name, schedule or TTL, with its violation
  ///   FAILED_PRECONDITION  reason AUTOSTART_FORBIDDEN or AUTOSTOP_FORBIDDEN
  virtual absl::StatusOr<WorkspaceRecord> Update(const lifecycle::WorkspaceId& id,
                                                 const WorkspaceChange& change,
                                                 clock::Deadline deadline) = 0;

  /// Moves the deadline of a running workspace. NOT_FOUND as Update; otherwise as
  /// schedule::CheckExtension.
  virtual absl::StatusOr<WorkspaceRecord> Extend(const lifecycle::WorkspaceId& id,
                                                 absl::Time deadline_at,
                                                 clock::Deadline deadline) = 0;

  /// Makes a workspace dormant, to be deleted after its template's time, or wakes it as if it was
  /// just used. What already is so stays as it is. NOT_FOUND as Update.
  virtual absl::StatusOr<WorkspaceRecord> SetDormant(const lifecycle::WorkspaceId& id, bool dormant,
                                                     clock::Deadline deadline) = 0;

  /// The latest `limit` outcomes of a workspace's schedule, the newest nominal time first.
  virtual absl::StatusOr<std::vector<OutcomeRecord>> ListOutcomes(const lifecycle::WorkspaceId& id,
                                                                  int limit,
                                                                  clock::Deadline deadline) = 0;
};

}  // namespace coder::storage
