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
  const auto now = sequencer.Session();
  return !status.ok() && (!now.ok() || *now != session);
}

}  // namespace

absl::StatusOr<server::PassOutcome> RelayPass::Run(std::stop_token stop) {
  last_events_ = 0;
  ASSIGN_OR_RETURN(const int64_t session, sequencer_.Session());
  if (session != checked_session_) {
    // Even one in trouble is asked: events sequenced before it was cannot be taken back.
    if (link_.connected()) {
      const absl::Duration began = clock_.MonotonicNow();
      const absl::Status checked = CheckEpoch();
      if (IsOfDatabase(checked, sequencer_, session)) return checked;
      RecordStream(checked, began);
      if (checked.ok()) checked_session_ = session;
    }
    // A log that could not be compared still has to go on: a difference is found later, too.
    next_position_.reset();
  }
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
    const absl::Status published = Publish(sequenced, stop);
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

absl::Status RelayPass::CheckEpoch() {
  failpoint::Hit("relay.in_epoch_check");
  ASSIGN_OR_RETURN(const storage::LogCursor cursor, sequencer_.ReadCursor());
  ASSIGN_OR_RETURN(const bool repaired, link_.admin.Ensure());
  if (repaired) metrics_.repairs.Increment();
  ASSIGN_OR_RETURN(const Comparison stream, Compare(cursor));
  epoch_ = cursor.epoch;
  if (!stream.went_back) return absl::OkStatus();
  const int64_t next = std::max(cursor.epoch, stream.epoch_in_stream) + 1;
  ASSIGN_OR_RETURN(epoch_, sequencer_.BeginEpoch(cursor.epoch, next));
  metrics_.epochs_begun.Increment();
  log::Error("the database went back in time: a new epoch begins and watchers take a snapshot",
             {{"old_epoch", cursor.epoch}, {"epoch", epoch_}, {"head", cursor.head}});
  return link_.admin.Purge();
}

absl::StatusOr<std::optional<storage::StoredPack>> RelayPass::PackEndingAt(int64_t position) {
  ASSIGN_OR_RETURN(auto packs, sequencer_.ReadPacks(position - 1, 1));
  if (packs.empty() || packs.front().last_position != position) {
    return std::optional<storage::StoredPack>();
  }
  return std::optional(std::move(packs.front()));
}

absl::StatusOr<RelayPass::Comparison> RelayPass::Compare(const storage::LogCursor& cursor) {
  ASSIGN_OR_RETURN(const jetstream::StreamState state, link_.admin.State());
  Comparison result = {.last_sequence = state.last_sequence};
  if (state.empty()) {
    // Nothing to go by: what the last relay had confirmed may be gone as well.
    result.agreed_up_to = 0;
    return result;
  }
  ASSIGN_OR_RETURN(const jetstream::StreamMessage tail, link_.admin.ReadAt(state.last_sequence));
  // A message that is no pack says nothing about the database.
  if (!tail.has_headers) return result;
  result.epoch_in_stream = tail.headers.epoch;
  if (tail.headers.epoch < cursor.epoch) return result;
  // Below the floor the log has moved on and can no longer be compared.
  if (tail.headers.epoch == cursor.epoch && tail.headers.last_position < cursor.log_floor) {
    return result;
  }
  ASSIGN_OR_RETURN(const auto pack, PackEndingAt(tail.headers.last_position));
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

absl::Status RelayPass::Synchronise() {
  metrics_.rewinds.Increment();
  changes_ = link_.changes();
  ASSIGN_OR_RETURN(const bool repaired, link_.admin.Ensure());
  if (repaired) {
    metrics_.repairs.Increment();
    log::Warn("the stream was made or its settings were put right");
  }
  ASSIGN_OR_RETURN(const storage::LogCursor cursor, sequencer_.ReadCursor());
  ASSIGN_OR_RETURN(Comparison stream, Compare(cursor));
  if (stream.went_back) {
    RETURN_IF_ERROR(CheckEpoch());
    return absl::AbortedError("compare stream and log: they differed; a new epoch begins");
  }
  if (!stream.agreed_up_to) {
    log::Warn("the stream holds what the log does not; it is filled anew",
              {{"epoch", cursor.epoch}, {"epoch_in_stream", stream.epoch_in_stream}});
    RETURN_IF_ERROR(link_.admin.Purge());
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

absl::Status RelayPass::Publish(const storage::Sequenced& sequenced, std::stop_token stop) {
  if (changes_ != link_.changes()) next_position_.reset();
  if (!next_position_) RETURN_IF_ERROR(Synchronise());
  const bool adjoins =
      !sequenced.packs.empty() && sequenced.packs.front().first_position == *next_position_;
  if (adjoins) RETURN_IF_ERROR(PublishPacks(sequenced.packs));
  while (*next_position_ <= head_ && !stop.stop_requested()) {
    ASSIGN_OR_RETURN(const auto packs, sequencer_.ReadPacks(*next_position_ - 1, kEventsPerRead));
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
