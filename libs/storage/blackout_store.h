#pragma once

#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/clock/deadline.h"
#include "libs/lifecycle/blackout_dates.h"
#include "libs/lifecycle/ids.h"

namespace coder::storage {

struct BlackoutRecord {
  lifecycle::BlackoutId id;
  lifecycle::OrganizationId organization;
  /// Absent: all templates of the organization.
  std::optional<lifecycle::TemplateId> template_id;
  lifecycle::BlackoutDates dates;
  lifecycle::UserId creator;
  absl::Time created_at;
};

/// Blackouts of an organization and of a template that are not over, each.
inline constexpr int kMaxBlackouts = 100;

/// Days without autostarts. Each method is one transaction. Safe to call from many threads. Every
/// method may also return UNAVAILABLE, DEADLINE_EXCEEDED or RESOURCE_EXHAUSTED.
class BlackoutStore {
 public:
  virtual ~BlackoutStore() = default;

  /// Stores one; `created_at` is ignored. NOT_FOUND when the organization or the template is gone;
  /// FAILED_PRECONDITION, reason TOO_MANY_BLACKOUTS, where kMaxBlackouts are not over.
  virtual absl::StatusOr<BlackoutRecord> Create(const BlackoutRecord& blackout,
                                                clock::Deadline deadline) = 0;

  /// NOT_FOUND.
  virtual absl::StatusOr<BlackoutRecord> Get(const lifecycle::BlackoutId& id,
                                             clock::Deadline deadline) = 0;

  /// Those of an organization and its templates that were not over yesterday, by first day; at most
  /// 10,000.
  virtual absl::StatusOr<std::vector<BlackoutRecord>> List(
      const lifecycle::OrganizationId& organization, clock::Deadline deadline) = 0;

  /// One that is gone already is none to delete: NOT_FOUND.
  virtual absl::Status Delete(const lifecycle::BlackoutId& id, clock::Deadline deadline) = 0;
};

}  // namespace coder::storage
