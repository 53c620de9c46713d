#include "services/coderd-api/audit_retention_pass.h"

#include "libs/clock/deadline.h"
#include "libs/status/status_macros.h"

namespace coder::api {
namespace {

constexpr int kMostRows = 1000;
constexpr absl::Duration kQueryTime = absl::Seconds(5);

}  // namespace

absl::StatusOr<server::PassOutcome> RunAuditRetentionPass(storage::AuditLogStore& store,
                                                          absl::Duration retention) {
  ASSIGN_OR_RETURN(const int64_t dropped,
                   store.DropOlderThan(retention, kMostRows, clock::Deadline::After(kQueryTime)));
  return dropped >= kMostRows ? server::PassOutcome::kMore : server::PassOutcome::kIdle;
}

}  // namespace coder::api
