#pragma once

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/clock/deadline.h"
#include "libs/lifecycle/ids.h"
#include "libs/storage/idempotency.h"
#include "libs/storage/template_records.h"

namespace coder::storage {

/// Template versions and their imports. Each method is one transaction. Safe to call from many
/// threads. Every method may return, besides what it lists: UNAVAILABLE, DEADLINE_EXCEEDED, ABORTED
/// (lost against other transactions too often), RESOURCE_EXHAUSTED (too many callers wait for the
/// database), UNKNOWN (the connection broke while committing).
class TemplateVersionStore {
 public:
  virtual ~TemplateVersionStore() = default;

  /// Stores the version and queues its import now. A variable without a value takes the one that
  /// the template's active version was given. With a `request` that was made before, returns the
  /// version made then.
  ///   NOT_FOUND         the organization, the template (in it), or the file (of the creator)
  ///   ALREADY_EXISTS    reason VERSION_NAME_TAKEN: another version of the template has the name
  ///   INVALID_ARGUMENT  reason PROVISIONER_MISMATCH: the template's versions are for another
  ///                     provisioner; REQUEST_ID_REUSED; two variables of one name
  virtual absl::StatusOr<TemplateVersionRecord> Create(const NewTemplateVersion& version,
                                                       const std::optional<RequestKey>& request,
                                                       clock::Deadline deadline) = 0;

  /// NOT_FOUND when there is no such version.
  virtual absl::StatusOr<TemplateVersionRecord> Get(lifecycle::TemplateVersionId id,
                                                    clock::Deadline deadline) = 0;

  /// At most `limit` versions without their readme, the newest first, after `after` if given.
  virtual absl::StatusOr<std::vector<TemplateVersionRecord>> List(
      const VersionFilter& filter, const std::optional<VersionPageKey>& after, int limit,
      clock::Deadline deadline) = 0;

  /// What the version asks, in display order; empty before its import has succeeded.
  virtual absl::StatusOr<std::vector<ParameterRecord>> ListParameters(
      lifecycle::TemplateVersionId id, clock::Deadline deadline) = 0;

  /// What the import found, by transition, type and name; empty before it has succeeded.
  virtual absl::StatusOr<std::vector<ResourceView>> ListResources(lifecycle::TemplateVersionId id,
                                                                  clock::Deadline deadline) = 0;

  /// Cancels the import: one that waits ends at once, one that runs when its runner has stopped.
  ///   NOT_FOUND            there is no such version
  ///   FAILED_PRECONDITION  reason JOB_COMPLETED or JOB_CANCELED (lifecycle::Step)
  virtual absl::StatusOr<TemplateVersionRecord> CancelImport(lifecycle::TemplateVersionId id,
                                                             clock::Deadline deadline) = 0;

  /// Archives the version, or brings it back. Nothing changes when it is so already.
  ///   NOT_FOUND            there is no such version
  ///   FAILED_PRECONDITION  reason VERSION_ACTIVE: archiving what new builds use
  virtual absl::StatusOr<TemplateVersionRecord> SetArchived(lifecycle::TemplateVersionId id,
                                                            bool archived,
                                                            clock::Deadline deadline) = 0;
};

}  // namespace coder::storage
