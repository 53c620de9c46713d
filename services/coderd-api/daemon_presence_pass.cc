#include "services/coderd-api/daemon_presence_pass.h"

#include <algorithm>
#include <vector>

#include "libs/clock/deadline.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"

namespace coder::api {

absl::StatusOr<server::PassOutcome> DaemonPresencePass::Run(std::stop_token) {
  const auto streams = streams_.All();
  if (on_count_) on_count_(streams.size());
  std::vector<lifecycle::ProvisionerDaemonId> daemons;
  for (const auto& stream : streams) {
    if (!stream->daemon().IsNil()) daemons.push_back(stream->daemon());
  }
  if (daemons.empty()) return server::PassOutcome::kIdle;
  ASSIGN_OR_RETURN(const auto revoked,
                   store_.TouchDaemons(daemons, clock::Deadline::After(absl::Seconds(2))));
  for (const auto& stream : streams) {
    if (std::find(revoked.begin(), revoked.end(), stream->daemon()) == revoked.end()) continue;
    stream->End(status::WithReason(
        absl::PermissionDeniedError(
            "wait for jobs: the daemon's provisioner key was revoked; start it with another key"),
        "KEY_REVOKED"));
  }
  return server::PassOutcome::kIdle;
}

}  // namespace coder::api
