#pragma once

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coder/api/v1/watch.pb.h"
#include "libs/auth/caller.h"
#include "libs/events/resume_token.h"
#include "libs/events/watch_filter.h"
#include "libs/fanout/ending.h"

namespace coder::api {

/// What a client asked of a watch, decoded and checked.
struct WatchTerms {
  events::WatchFilter filter;
  std::optional<events::ResumeToken> resume;
  bool snapshot = false;
  std::optional<absl::Time> start_time;
  absl::Duration bookmark_interval = absl::Seconds(30);
};

/// INVALID_ARGUMENT, with the field, for anything the contract does not admit; reason
/// TOKEN_INVALID for a malformed token.
absl::StatusOr<WatchTerms> ReadWatchTerms(const v1::WatchAllWorkspaceBuildsRequest& request);

/// The events a caller may see: owners and template admins all, organization admins and template
/// admins their organization's, everybody those of the own workspaces in the own organizations.
std::shared_ptr<const events::WatchRights> WatchRightsOf(const auth::Caller& caller);

/// How the end of a watch is told to its client, with the reason of the contract.
absl::Status StatusOf(const fanout::Ending& ending);

}  // namespace coder::api
