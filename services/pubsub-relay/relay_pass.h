#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/clock/clock.h"
#include "libs/jetstream/ports/publisher.h"
#include "libs/jetstream/ports/stream_admin.h"
#include "libs/server/loop.h"
#include "libs/storage/event_sequencer.h"
#include "services/pubsub-relay/relay_metrics.h"

namespace coder::relay {

// The stream and what is known of the way to it.
struct StreamLink {
  jetstream::StreamAdmin& admin;
  jetstream::Publisher& publisher;
  // Whether the way is open now.
  std::function<bool()> connected;
  // Another number than before: it was lost in between.
  std::function<int64_t()> changes;
};

// One step of the relay: gives what waits in the outbox its place in the log, then publishes the
// log's new end in order. On a database session that was compared with the stream, the log is
// written whether or not the stream can be reached, and the stream is brought up to it as soon as
// it can. On a new one nothing is written before that: the database may have gone back. One thread.
class RelayPass {
 public:
  struct Options {
    // Events moved by one statement.
    int64_t max_events = 2048;
    // An empty stream is filled with this many of the last positions.
    int64_t ring_length = 65'536;
    // How long the acknowledgements of one step are waited for.
    absl::Duration answer_limit = absl::Seconds(5);
    // After trouble with the stream it is left alone for so long, and for at least as long as the
    // failed attempt took, so that the log goes on meanwhile.
    absl::Duration retry_wait = absl::Milliseconds(250);
  };

  // Everything must outlive the pass.
  RelayPass(storage::EventSequencer& sequencer, StreamLink link, RelayMetrics& metrics,
            clock::Clock& clock, Options options)
      : sequencer_(sequencer),
        link_(std::move(link)),
        metrics_(metrics),
        clock_(clock),
        options_(options) {}

  // Errors are those of the database, or UNAVAILABLE while a new session waits for the stream.
  // Other trouble with the stream is logged, counted and tried again.
  absl::StatusOr<server::PassOutcome> Run(std::stop_token stop);

  // How many events the last pass gave a position.
  int64_t last_events() const { return last_events_; }

  // Whether the last pass found nothing to do and left nothing to be tried again.
  bool at_rest() const { return last_events_ == 0 && stream_up_; }

 private:
  struct Comparison {
    // Everything up to here is in the stream already; absent: it holds what the log does not.
    std::optional<int64_t> agreed_up_to;
    uint64_t last_sequence = 0;
    int64_t epoch_in_stream = 0;
    bool went_back = false;
  };

  absl::Status CheckSession(int64_t session);
  absl::Status CheckEpoch(int64_t session);
  absl::StatusOr<Comparison> Compare(int64_t session, const storage::LogCursor& cursor);
  absl::StatusOr<std::optional<storage::StoredPack>> PackEndingAt(int64_t session,
                                                                  int64_t position);
  absl::Status Synchronise(int64_t session);
  absl::Status Publish(int64_t session, const storage::Sequenced& sequenced, std::stop_token stop);
  absl::Status PublishPacks(const std::vector<storage::StoredPack>& packs);
  absl::Status TakeAnswers();
  absl::Status AwaitAnswers();
  void RecordConfirmed(const jetstream::PublishProgress& progress);
  bool StreamMayBeTried() const;
  void RecordStream(const absl::Status& status, absl::Duration began);

  storage::EventSequencer& sequencer_;
  const StreamLink link_;
  RelayMetrics& metrics_;
  clock::Clock& clock_;
  const Options options_;

  // The database session on which the stream was last compared with the log.
  int64_t checked_session_ = 0;
  int64_t epoch_ = 0;
  int64_t head_ = 0;
  // The run of publishing: what it sends next, on which connection; unset: compare first.
  std::optional<int64_t> next_position_;
  int64_t changes_ = -1;
  int64_t confirmed_ = 0;
  int64_t last_events_ = 0;
  absl::Duration stream_tried_again_at_ = absl::ZeroDuration();
  bool stream_up_ = true;
};

}  // namespace coder::relay
