#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/auth/policy.h"
#include "libs/clock/deadline.h"
#include "libs/lifecycle/ids.h"
#include "libs/storage/idempotency.h"
#include "libs/storage/template_records.h"

namespace coder::storage {

/// Templates that are not deleted. Each method is one transaction. Safe to call from many threads.
/// Every method may return, besides what it lists: UNAVAILABLE, DEADLINE_EXCEEDED, ABORTED (lost
/// against other transactions too often), RESOURCE_EXHAUSTED (too many callers wait for the
/// database), UNKNOWN (the connection broke while committing).
///
/// NOT_BUILDABLE stands for FAILED_PRECONDITION, reason IMPORT_NOT_FINISHED, IMPORT_FAILED (also
/// for a canceled import) or VERSION_ARCHIVED.
class TemplateStore {
 public:
  virtual ~TemplateStore() = default;

  /// Makes a template whose first and active version is the given one. With a `request` that was
  /// made before, returns the template made then. NOT_BUILDABLE, and
  ///   NOT_FOUND            the organization, or the version in it
  ///   ALREADY_EXISTS       reason TEMPLATE_NAME_TAKEN: another template of the organization has it
  ///   FAILED_PRECONDITION  reason VERSION_TAKEN: the version belongs to a template already
  ///   INVALID_ARGUMENT     reason REQUEST_ID_REUSED
  virtual absl::StatusOr<TemplateRecord> Create(const NewTemplate& made,
                                                const std::optional<RequestKey>& request,
                                                clock::Deadline deadline) = 0;

  /// NOT_FOUND when there is no such template.
  virtual absl::StatusOr<TemplateRecord> Get(lifecycle::TemplateId id,
                                             clock::Deadline deadline) = 0;

  /// The template of that name in an organization: its id, its name, or "default". NOT_FOUND.
  virtual absl::StatusOr<TemplateRecord> FindByName(const std::string& organization,
                                                    const std::string& name,
                                                    clock::Deadline deadline) = 0;

  /// At most `limit` templates of the scope by organization and name, after `after` if given; an
  /// `organization` that is not empty (id, name or "default") narrows them to it.
  virtual absl::StatusOr<std::vector<TemplateRecord>> List(
      const auth::Scope& scope, const std::string& organization,
      const std::optional<TemplatePageKey>& after, int limit, clock::Deadline deadline) = 0;

  /// Replaces the settings of a template still at `revision`. When the allowed days or the right to
  /// autostart change, its workspaces' next starts are marked to be computed again; when the time
  /// until dormant workspaces are deleted changes, so do their deletion times.
  ///   NOT_FOUND       there is no such template
  ///   ABORTED         reason ETAG_MISMATCH: it has another revision by now
  ///   ALREADY_EXISTS  reason TEMPLATE_NAME_TAKEN
  virtual absl::StatusOr<TemplateRecord> Update(lifecycle::TemplateId id, int64_t revision,
                                                const TemplateSettings& settings,
                                                clock::Deadline deadline) = 0;

  /// Makes one of its versions the active one. NOT_BUILDABLE, and
  ///   NOT_FOUND  there is no such template, or no such version of it
  virtual absl::StatusOr<TemplateRecord> Promote(lifecycle::TemplateId id,
                                                 lifecycle::TemplateVersionId version,
                                                 clock::Deadline deadline) = 0;

  /// Deletes the template; its name is free again.
  ///   NOT_FOUND            there is no such template
  ///   FAILED_PRECONDITION  reason TEMPLATE_IN_USE: it has workspaces
  virtual absl::Status Delete(lifecycle::TemplateId id, clock::Deadline deadline) = 0;
};

}  // namespace coder::storage
