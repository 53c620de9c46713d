#pragma once

#include <stop_token>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/server/loop.h"
#include "libs/storage/event_sequencer.h"
#include "services/pubsub-relay/relay_metrics.h"

namespace coder::relay {

// One round of keeping the log: partitions ahead, old ones dropped, the outbox measured. One
// thread, on a sequencer of its own.
class HousekeepingPass {
 public:
  struct Options {
    // How long events are kept in the log at least.
    absl::Duration retention = absl::Hours(24 * 7);
    // Partitions of a million positions made after the current one.
    int partitions_ahead = 4;
  };

  // Everything must outlive the pass.
  HousekeepingPass(storage::EventSequencer& sequencer, RelayMetrics& metrics, Options options)
      : sequencer_(sequencer), metrics_(metrics), options_(options) {}

  // Errors are those of the database.
  absl::StatusOr<server::PassOutcome> Run(std::stop_token stop);

 private:
  storage::EventSequencer& sequencer_;
  RelayMetrics& metrics_;
  const Options options_;
  bool first_round_ = true;
};

}  // namespace coder::relay
