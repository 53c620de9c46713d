#pragma once

#include <optional>

#include "absl/status/statusor.h"
#include "coder/api/v1/audit.pb.h"
#include "libs/storage/audit_log_store.h"

namespace coder::api {

v1::AuditLog AuditToProto(const storage::AuditRecord& record);

/// Nothing for UNSPECIFIED; INVALID_ARGUMENT, with a violation, for a number that is no value.
absl::StatusOr<std::optional<storage::AuditAction>> AuditActionFromProto(v1::AuditAction action);
absl::StatusOr<std::optional<storage::AuditOutcome>> AuditOutcomeFromProto(
    v1::AuditOutcome outcome);

}  // namespace coder::api
