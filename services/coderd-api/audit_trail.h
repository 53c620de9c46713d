#pragma once

#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include "libs/auth/rate_limiter.h"
#include "libs/clock/clock.h"
#include "libs/ids/uuid.h"
#include "libs/storage/audit_log_store.h"

namespace coder::api {

/// Keeps the records of the audit log. Thread-safe.
class AuditTrail {
 public:
  /// Refused calls of nobody in particular that are recorded at once and then a minute, of one
  /// client address, method and status code: whoever has no account cannot fill the log.
  static constexpr int kAnonymousBurst = 120;

  /// All must outlive the trail.
  AuditTrail(storage::AuditLogStore& store, ids::UuidV7Generator& ids, clock::Clock& clock,
             prometheus::Registry& registry);

  /// Gives the record its id, makes its texts fit to be kept, and stores it; waits for the
  /// database, at most 2 s. A record that cannot be stored goes to the process's log as an error
  /// instead: what was done is done.
  void Keep(storage::AuditRecord record);

 private:
  storage::AuditLogStore& store_;
  ids::UuidV7Generator& ids_;
  auth::RateLimiter anonymous_;
  prometheus::Counter& stored_;
  prometheus::Counter& lost_;
  prometheus::Counter& left_out_;
};

/// `text` fit to be kept: at most `max_bytes`, control characters replaced, and a text that is a
/// token hidden but for its public part.
std::string FitForAudit(absl::string_view text, size_t max_bytes);

}  // namespace coder::api
