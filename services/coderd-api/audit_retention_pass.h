#pragma once

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/server/loop.h"
#include "libs/storage/audit_log_store.h"

namespace coder::api {

/// Forgets a bounded number of records older than `retention`. kMore when as many are left as one
/// pass may take; errors of the store.
absl::StatusOr<server::PassOutcome> RunAuditRetentionPass(storage::AuditLogStore& store,
                                                          absl::Duration retention);

}  // namespace coder::api
