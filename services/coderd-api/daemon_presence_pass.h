#pragma once

#include <functional>
#include <stop_token>

#include "absl/status/statusor.h"
#include "libs/server/loop.h"
#include "libs/storage/job_store.h"
#include "services/coderd-api/acquire_streams.h"

namespace coder::api {

/// Marks waiting daemons as seen and ends the streams of those whose key was revoked: one
/// statement a pass for all of them.
class DaemonPresencePass {
 public:
  /// Both must outlive the pass; `on_count`, which may be empty, is told how many streams are open.
  DaemonPresencePass(storage::JobStore& store, AcquireStreamSet& streams,
                     std::function<void(size_t)> on_count)
      : store_(store), streams_(streams), on_count_(std::move(on_count)) {}

  /// One pass; its error is the store's.
  absl::StatusOr<server::PassOutcome> Run(std::stop_token stop);

 private:
  storage::JobStore& store_;
  AcquireStreamSet& streams_;
  const std::function<void(size_t)> on_count_;
};

}  // namespace coder::api
