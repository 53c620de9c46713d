#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "libs/lifecycle/decision.h"
#include "libs/lifecycle/ids.h"
#include "libs/pg/result.h"

namespace coder::storage {

/// A workspace as the lifecycle rules see it.
struct LifecycleRow {
  lifecycle::WorkspaceId workspace_id;
  lifecycle::UserId owner_id;
  lifecycle::OrganizationId organization_id;
  lifecycle::BuildId latest_build;
  lifecycle::LifecycleSnapshot snapshot;
  /// The stored prefilter of the autostart rule.
  std::optional<absl::Time> next_start_at;
};

/// The ids as a uuid[] parameter takes them.
std::vector<std::string> TextsOf(const std::vector<lifecycle::WorkspaceId>& ids);

/// Selects the LifecycleRow of each workspace of $1, by id. Workspaces without a build fall out.
const char* LifecycleRowsSql();

/// Blackout dates from the columns first_days, last_days and reasons.
std::vector<lifecycle::BlackoutDates> ReadBlackouts(const pg::Result::Row& row);

/// Reads a row of these columns.
LifecycleRow ReadLifecycleRow(const pg::Result::Row& row);

/// When the first nominal autostart without an outcome is due, or was: its time and the spread
/// offset. Absent without a schedule and for one that cannot be read or never fires on an allowed
/// day.
std::optional<absl::Time> FirstUndecidedStart(const lifecycle::LifecycleSnapshot& snapshot);

}  // namespace coder::storage
