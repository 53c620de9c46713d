#pragma once

#include <cstdint>
#include <string>

#include "libs/lifecycle/ids.h"
#include "libs/pg/pool.h"

namespace coder::storage {

/// The rows of outbox and event log, as tests of relay and watches write and look at them. Throws
/// std::runtime_error when a statement fails. Thread-safe.
class EventRows {
 public:
  /// `pool`, of the superuser, must outlive this.
  explicit EventRows(pg::Pool& pool) : pool_(pool) {}

  /// Commits an event of a workspace that nobody has heard of: `framed` as events::AppendFramed
  /// makes it.
  void Commit(int64_t workspace_version, const std::string& framed);

  /// Commits an event that says what the build's rows say now.
  void CommitEventOf(const lifecycle::BuildId& build);

  /// The last position given out.
  int64_t Head();

  /// Makes the log what it was before its first event; the outbox stays.
  void SetBackToNothing();

 private:
  pg::Pool& pool_;
};

}  // namespace coder::storage
