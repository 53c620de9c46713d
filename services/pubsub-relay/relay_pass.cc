#include "services/pubsub-relay/relay_pass.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "libs/failpoint/failpoint.h"
#include "libs/server/log.h"
#include "libs/status/status_macros.h"

namespace coder::relay {
namespace {

constexpr int64_t kEventsPerRead = 4096;

// Trouble with the database in the midst of work on the stream: ends the pass, blames no stream.
bool IsOfDatabase(const absl::Status& status, storage::EventSequencer& sequencer, int64_t session) {
  if (status.ok()) return false;
  const auto now = sequencer.Session();
  return !now.ok() || *now != session;
}

}  // namespace

absl::StatusOr<server::PassOutcome> RelayPass::Run(std::stop_token stop) {
  last_events_ = 0;
  ASSIGN_OR_RETURN(const int64_t session, sequencer_.Session());
  if (session != checked_session_) RETURN_IF_ERROR(CheckSession(session));
  ASSIGN_OR_RETURN(const storage::Sequenced sequenced,
                   sequencer_.Sequence(session, options_.max_events, confirmed_));
  last_events_ = sequenced.events;
  if (sequenced.events > 0) failpoint::Hit("relay.after_sequence");
  metrics_.sequenced.Increment(static_cast<double>(sequenced.events));
  for (const storage::StoredPack& pack : sequenced.packs) {
    metrics_.sequence_lag.Observe(absl::ToDoubleSeconds(pack.sequenced_at - pack.committed_at));
  }
  if (sequenced.epoch) {
    // Another relay, or an operator, began it: what this one was about to send is of the old one.
    if (epoch_ != *sequenced.epoch) next_position_.reset();
    epoch_ = *sequenced.epoch;
    head_ = sequenced.head;
    metrics_.head.Set(static_cast<double>(head_));
    metrics_.epoch.Set(static_cast<double>(epoch_));
  }
  if (StreamMayBeTried()) {
    const absl::Duration began = clock_.MonotonicNow();
    const absl::Status published = Publish(session, sequenced, stop);
    if (!published.ok()) next_position_.reset();
    if (IsOfDatabase(published, sequencer_, session)) return published;
    RecordStream(published, began);
  }
  return sequenced.events >= options_.max_events ? server::PassOutcome::kMore
                                                 : server::PassOutcome::kIdle;
}

bool RelayPass::StreamMayBeTried() const {
  if (!link_.connected()) return false;
  return stream_up_ || clock_.MonotonicNow() >= stream_tried_again_at_;
}

void RelayPass::RecordStream(const absl::Status& status, absl::Duration began) {
  if (!status.ok()) {
    const absl::Duration now = clock_.MonotonicNow();
    stream_tried_again_at_ = now + std::max(options_.retry_wait, now - began);
    metrics_.refusals.Increment();
  }
  if (status.ok() != stream_up_) {
    stream_up_ = status.ok();
    if (stream_up_) {
      log::Info("the stream takes events again", {{"position", confirmed_}});
    } else {
      log::Warn("the stream takes no events; watchers follow the log", {{"error", status}});
    }
  }
  metrics_.stream_up.Set(stream_up_ ? 1 : 0);
}

absl::Status RelayPass::CheckSession(int64_t session) {
  next_position_.reset();
  // Of a history that this one may not continue.
  confirmed_ = 0;
  const absl::Duration began = clock_.MonotonicNow();
  const absl::Status checked =
      link_.connected() ? CheckEpoch(session) : absl::UnavailableError("NATS is not connected");
  if (IsOfDatabase(checked, sequencer_, session)) return checked;
  RecordStream(checked, began);
  if (!checked.ok()) {
    // Positions that were given once cannot be taken back.
    return absl::UnavailableError(
        absl::StrCat("sequence on a new database session: only the stream tells whether the "
                     "database went back, and it cannot be asked: ",
                     checked.message(), "; events wait until it can"));
  }
  checked_session_ = session;
  return absl::OkStatus();
}

absl::Status RelayPass::CheckEpoch(int64_t session) {
  failpoint::Hit("relay.in_epoch_check");
  ASSIGN_OR_RETURN(const storage::LogCursor cursor, sequencer_.ReadCursor(session));
  ASSIGN_OR_RETURN(const Comparison stream, Compare(session, cursor));
  epoch_ = cursor.epoch;
  if (!stream.went_back) return absl::OkStatus();
  const int64_t next = std::max(cursor.epoch, stream.epoch_in_stream) + 1;
  ASSIGN_OR_RETURN(epoch_, sequencer_.BeginEpoch(session, cursor.epoch, next));
  if (epoch_ < next) {
    return absl::AbortedError(
        absl::StrCat("begin epoch ", next, ": epoch ", epoch_, " began meanwhile"));
  }
  metrics_.epochs_begun.Increment();
  log::Error("the database went back in time: a new epoch begins and watchers take a snapshot",
             {{"old_epoch", cursor.epoch}, {"epoch", epoch_}, {"head", cursor.head}});
  return absl::OkStatus();
}

absl::StatusOr<std::optional<storage::StoredPack>> RelayPass::PackEndingAt(int64_t session,
                                                                           int64_t position) {
  ASSIGN_OR_RETURN(auto packs, sequencer_.ReadPacks(session, position - 1, 1));
  if (packs.empty() || packs.front().last_position != position) {
    return std::optional<storage::StoredPack>();
  }
  return std::optional(std::move(packs.front()));
}

absl::StatusOr<RelayPass::Comparison> RelayPass::Compare(int64_t session,
                                                         const storage::LogCursor& cursor) {
  auto state = link_.admin.State();
  if (absl::IsNotFound(state.status())) state = jetstream::StreamState();
  RETURN_IF_ERROR(state.status());
  Comparison result = {.last_sequence = state->last_sequence};
  if (state->empty()) {
    // Nothing to go by: what the last relay had confirmed may be gone as well.
    result.agreed_up_to = 0;
    return result;
  }
  ASSIGN_OR_RETURN(const jetstream::StreamMessage tail, link_.admin.ReadAt(state->last_sequence));
  // A message that is no pack says nothing about the database.
  if (!tail.has_headers) return result;
  result.epoch_in_stream = tail.headers.epoch;
  if (tail.headers.epoch < cursor.epoch) return result;
  // Below the floor the log has moved on and can no longer be compared.
  if (tail.headers.epoch == cursor.epoch && tail.headers.last_position < cursor.log_floor) {
    return result;
  }
  ASSIGN_OR_RETURN(const auto pack, PackEndingAt(session, tail.headers.last_position));
  const bool same = tail.headers.epoch == cursor.epoch && pack &&
                    pack->first_position == tail.headers.first_position &&
                    pack->last_event_id == tail.headers.last_event_id &&
                    pack->payload == tail.payload;
  if (same) {
    result.agreed_up_to = tail.headers.last_position;
  } else {
    result.went_back = !failpoint::IsOn("off.epoch_check");
  }
  return result;
}

absl::Status RelayPass::Synchronise(int64_t session) {
  metrics_.rewinds.Increment();
  changes_ = link_.changes();
  ASSIGN_OR_RETURN(const bool repaired, link_.admin.Ensure());
  if (repaired) {
    metrics_.repairs.Increment();
    log::Warn("the stream was made or its settings were put right");
  }
  ASSIGN_OR_RETURN(const storage::LogCursor cursor, sequencer_.ReadCursor(session));
  ASSIGN_OR_RETURN(Comparison stream, Compare(session, cursor));
  if (stream.went_back) {
    RETURN_IF_ERROR(CheckEpoch(session));
    return absl::AbortedError("compare stream and log: they differed; a new epoch begins");
  }
  if (!stream.agreed_up_to) {
    log::Warn("the stream holds what the log does not; it is filled anew",
              {{"epoch", cursor.epoch}, {"epoch_in_stream", stream.epoch_in_stream}});
    RETURN_IF_ERROR(link_.admin.Purge(stream.last_sequence));
    stream.agreed_up_to = 0;
  }
  failpoint::Hit("relay.in_rewind");
  epoch_ = cursor.epoch;
  head_ = cursor.head;
  const int64_t first =
      std::max({cursor.log_floor, cursor.head - options_.ring_length + 1, int64_t{1}});
  next_position_ = std::max(*stream.agreed_up_to + 1, first);
  link_.publisher.Begin(stream.last_sequence);
  metrics_.log_floor.Set(static_cast<double>(cursor.log_floor));
  metrics_.epoch.Set(static_cast<double>(epoch_));
  metrics_.head.Set(static_cast<double>(head_));
  return absl::OkStatus();
}

absl::Status RelayPass::Publish(int64_t session, const storage::Sequenced& sequenced,
                                std::stop_token stop) {
  if (changes_ != link_.changes()) next_position_.reset();
  if (!next_position_) RETURN_IF_ERROR(Synchronise(session));
  const bool adjoins =
      !sequenced.packs.empty() && sequenced.packs.front().first_position == *next_position_;
  if (adjoins) RETURN_IF_ERROR(PublishPacks(sequenced.packs));
  while (*next_position_ <= head_ && !stop.stop_requested()) {
    // Not beyond the head that was read with the epoch: what follows may be of a later one.
    const int64_t most = std::min(kEventsPerRead, head_ - *next_position_ + 1);
    ASSIGN_OR_RETURN(const auto packs, sequencer_.ReadPacks(session, *next_position_ - 1, most));
    if (packs.empty()) {
      return absl::UnavailableError(
          absl::StrCat("publish position ", *next_position_, ": the log does not hold it yet"));
    }
    RETURN_IF_ERROR(PublishPacks(packs));
  }
  // While more waits in the outbox, the answers come as it is moved: a refusal is seen a step
  // later, and the publisher bounds what is in flight.
  return sequenced.events >= options_.max_events ? TakeAnswers() : AwaitAnswers();
}

absl::Status RelayPass::PublishPacks(const std::vector<storage::StoredPack>& packs) {
  for (const storage::StoredPack& pack : packs) {
    RETURN_IF_ERROR(link_.publisher.Publish({.epoch = epoch_,
                                             .first_position = pack.first_position,
                                             .last_position = pack.last_position,
                                             .last_event_id = pack.last_event_id},
                                            pack.payload));
    next_position_ = pack.last_position + 1;
    metrics_.published.Increment(static_cast<double>(pack.last_position - pack.first_position + 1));
  }
  return absl::OkStatus();
}

absl::Status RelayPass::TakeAnswers() {
  const jetstream::PublishProgress progress = link_.publisher.progress();
  RecordConfirmed(progress);
  return progress.refusal;
}

void RelayPass::RecordConfirmed(const jetstream::PublishProgress& progress) {
  confirmed_ = std::max(confirmed_, progress.confirmed_position);
  if (progress.confirmed_position > 0) failpoint::Hit("relay.after_answers");
  metrics_.confirmed.Set(static_cast<double>(confirmed_));
}

absl::Status RelayPass::AwaitAnswers() {
  if (link_.publisher.progress().in_flight > 0) failpoint::Hit("relay.before_answers");
  const jetstream::PublishProgress progress = link_.publisher.Await(options_.answer_limit);
  RecordConfirmed(progress);
  if (!progress.refusal.ok()) return progress.refusal;
  if (progress.in_flight > 0) {
    return absl::UnavailableError(
        absl::StrCat("publish: ", progress.in_flight, " messages were not answered in time"));
  }
  return absl::OkStatus();
}

}  // namespace coder::relay
