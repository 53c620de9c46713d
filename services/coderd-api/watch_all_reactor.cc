#include "services/coderd-api/watch_all_reactor.h"

#include <algorithm>
#include <random>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "coder/api/v1/watch.grpc.pb.h"
#include "libs/failpoint/failpoint.h"
#include "libs/server/grpc_server.h"
#include "libs/server/grpc_status.h"
#include "libs/server/log.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"
#include "services/coderd-api/experiments.h"

namespace coder::api {
namespace {

constexpr char kMethod[] = "/coder.api.v1.WatchService/WatchAllWorkspaceBuilds";
constexpr absl::Duration kRetryWait = absl::Milliseconds(100);
// With the 2 s a caller may have been remembered, below the 5 s of the contract.
constexpr absl::Duration kMaxRightsAge = absl::Seconds(3);
constexpr absl::Duration kStalledAfter = absl::Seconds(1);

absl::Duration Jittered(absl::Duration age) {
  thread_local std::minstd_rand random{std::random_device()()};
  return age * std::uniform_real_distribution<double>(0.8, 1.0)(random);
}

absl::Status NotEnabled() {
  return status::WithReason(
      absl::FailedPreconditionError(absl::StrCat(
          "watch builds: the experiment '", kWorkspaceBuildUpdates,
          "' is not enabled; ask the operator to add it to coderd-api's --experiments")),
      "EXPERIMENT_DISABLED");
}

absl::Status TooSlow(absl::Duration limit) {
  return status::WithReason(absl::ResourceExhaustedError(absl::StrCat(
                                "watch builds: nothing was read for ", absl::FormatDuration(limit),
                                "; read faster and resume from the last token")),
                            "FELL_BEHIND");
}

absl::Status LogUnreachable() {
  return StatusOf({.kind = fanout::EndingKind::kUnavailable,
                   .message = "the event log cannot be read now; try again in a moment"});
}

absl::Status SelfCheckFailed() {
  return status::WithReason(
      absl::UnavailableError("watch builds: this replica's own count of what it sent does not add "
                             "up; resume from the last token"),
      "SELF_CHECK_FAILED");
}

grpc::ByteBuffer Encoded(const v1::WatchAllWorkspaceBuildsResponse& response) {
  const grpc::Slice slice(response.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

}  // namespace

WatchAllReactor* WatchAllReactor::Start(WatchParts& parts, grpc::CallbackServerContext* context,
                                        const grpc::ByteBuffer* request) {
  auto reactor = std::make_shared<WatchAllReactor>(parts, context, *request);
  reactor->self_ = reactor;
  reactor->RunBlocking([&admitted = *reactor] { admitted.Admit(); });
  return reactor.get();
}

void WatchAllReactor::Wake() {
  if (signals_.fetch_add(1) != 0) return;
  auto self = shared_from_this();
  if (!parts_.steps.Post([self] { self->Drive(); })) self->Drive();
}

// Whoever raised `signals_` from zero drives alone; signals of meanwhile make it look once more.
void WatchAllReactor::Drive() {
  int seen = 0;
  do {
    seen = signals_.load();
    RunStep();
  } while (signals_.fetch_sub(seen) != seen);
}

void WatchAllReactor::RunStep() {
  if (phase_ == Phase::kFinished || blocked_) return;
  const absl::Duration now = parts_.clock.MonotonicNow();
  if (IsOver(now) || write_in_flight_) return;
  if (now < retry_at_) return parts_.sessions.ExpectTick();
  retries_ = false;
  if (ready_) {
    const auto message = std::move(*ready_);
    ready_.reset();
    parts_.metrics.events_sent.Increment(message.events_size());
    Write(Encoded(message));
    return;
  }
  if (phase_ == Phase::kSnapshot) RunBlocking([this] { TakeSnapshotStep(); });
  if (phase_ == Phase::kFollowing) Follow();
}

bool WatchAllReactor::IsOver(absl::Duration now) {
  if (cancelled_ || write_failed_) {
    FinishWith(absl::CancelledError("watch builds: the client went away"));
    return true;
  }
  std::optional<absl::Status> ending;
  {
    std::lock_guard lock(mutex_);
    const bool stuck = write_in_flight_ && now - write_began_ > parts_.write_limit;
    if (stuck && !ending_) ending_ = TooSlow(parts_.write_limit);
    // A write under way is let through, so that the client reads why it ends.
    if (!write_in_flight_ || stuck) ending = ending_;
  }
  if (!ending && !write_in_flight_ && phase_ == Phase::kSnapshot && now >= end_at_) {
    ending = StatusOf(
        {.kind = fanout::EndingKind::kAged, .message = "the watch reached its age; begin anew"});
  }
  if (!ending) return false;
  FinishWith(*ending);
  return true;
}

void WatchAllReactor::RunBlocking(std::function<void()> task) {
  blocked_ = true;
  const bool posted = parts_.blocking.Post([self = shared_from_this(), task = std::move(task)] {
    task();
    self->blocked_ = false;
    self->Wake();
  });
  if (posted) return;
  blocked_ = false;
  End(LogUnreachable());
}

void WatchAllReactor::RetryIn(absl::Duration delay) {
  retry_at_ = parts_.clock.MonotonicNow() + delay;
  retries_ = true;
  parts_.sessions.ExpectTick();
}

void WatchAllReactor::Admit() {
  const absl::Status admitted = AdmitCall();
  if (!admitted.ok()) End(NamingBounds(admitted));
}

// Whoever holds a token that is refused learns what would have been accepted.
absl::Status WatchAllReactor::NamingBounds(const absl::Status& refusal) {
  auto reason = status::ReasonOf(refusal);
  const bool of_token = reason &&
                        (reason->reason == "TOKEN_INVALID" || reason->reason == "EPOCH_CHANGED") &&
                        refusal.code() != absl::StatusCode::kUnauthenticated;
  if (!of_token || reason->metadata.contains("head")) return refusal;
  const auto bounds = parts_.log.Bounds();
  if (!bounds.ok()) return refusal;
  reason->metadata["floor"] = absl::StrCat(std::max<int64_t>(bounds->floor - 1, 0));
  reason->metadata["head"] = absl::StrCat(bounds->head);
  return status::WithReason(refusal, reason->reason, reason->metadata);
}

absl::Status WatchAllReactor::AdmitCall() {
  const absl::Duration now = parts_.clock.MonotonicNow();
  ASSIGN_OR_RETURN(const CallContext call, parts_.gate.Admit(*context_, kMethod));
  if (!parts_.enabled) return NotEnabled();
  v1::WatchAllWorkspaceBuildsRequest request;
  if (request_.Length() > server::kMaxMessageBytes ||
      !grpc::SerializationTraits<v1::WatchAllWorkspaceBuildsRequest>::Deserialize(&request_,
                                                                                  &request)
           .ok()) {
    return absl::InvalidArgumentError("watch builds: the request is too large or no message");
  }
  request_.Clear();
  ASSIGN_OR_RETURN(terms_, ReadWatchTerms(request));
  if (!parts_.pump.primed()) return LogUnreachable();
  {
    std::lock_guard lock(mutex_);
    caller_ = call.caller;
    rights_ = WatchRightsOf(*call.caller);
    rights_checked_at_ = now;
  }
  end_at_ = now + Jittered(parts_.max_age);
  RETURN_IF_ERROR(parts_.sessions.Add(shared_from_this(), call.caller->Identity()));
  if (terms_.snapshot) {
    RETURN_IF_ERROR(parts_.sessions.BeginSnapshot());
    state_ = WatchState::kSnapshot;
    snapshot_ = std::make_unique<WatchSnapshot>(parts_.log, parts_.states, terms_.filter);
    phase_ = Phase::kSnapshot;
    return absl::OkStatus();
  }
  std::optional<events::ResumeToken> start = terms_.resume;
  if (terms_.start_time) {
    const auto position = parts_.log.PositionBefore(*terms_.start_time);
    const auto bounds = parts_.log.Bounds();
    if (!position.ok() || !bounds.ok()) return LogUnreachable();
    // The event before the first one kept cannot be verified, and need not be.
    const bool dropped = *position > 0 && *position < bounds->floor;
    start = events::ResumeToken{
        .epoch = bounds->epoch, .position = *position, .event_hash = dropped ? 1u : 0u};
  }
  return Open(start);
}

absl::Status WatchAllReactor::Open(std::optional<events::ResumeToken> start) {
  fanout::Watcher::Options options = {.filter = terms_.filter,
                                      .bookmark_interval = terms_.bookmark_interval,
                                      .max_rights_age = kMaxRightsAge,
                                      .end_at = end_at_,
                                      .wake = [weak = weak_from_this()] {
                                        if (const auto self = weak.lock()) self->Wake();
                                      }};
  {
    std::lock_guard lock(mutex_);
    options.caller_id = caller_->Identity();
    options.rights = rights_;
    options.rights_checked_at = rights_checked_at_;
  }
  auto opened = parts_.hub.Open(std::move(options), start, parts_.log, parts_.clock.MonotonicNow());
  if (const auto* refusal = std::get_if<fanout::Ending>(&opened)) return StatusOf(*refusal);
  auto watcher = std::get<std::shared_ptr<fanout::Watcher>>(std::move(opened));
  {
    // Rights may have been found out anew between reading them and opening.
    std::lock_guard lock(mutex_);
    watcher_ = watcher;
    if (ending_) return absl::OkStatus();
  }
  FreshRights();
  v1::WatchAllWorkspaceBuildsResponse first;
  if (ready_) first = std::move(*ready_);
  const events::ResumeToken token = watcher->token();
  first.set_resume_token(events::EncodeResumeToken(token));
  ready_ = std::move(first);
  check_.emplace(token.position);
  state_ = WatchState::kFollowing;
  phase_ = Phase::kFollowing;
  return absl::OkStatus();
}

std::shared_ptr<const events::WatchRights> WatchAllReactor::FreshRights() {
  std::shared_ptr<fanout::Watcher> watcher;
  std::shared_ptr<const events::WatchRights> rights;
  absl::Duration checked_at;
  {
    std::lock_guard lock(mutex_);
    watcher = watcher_;
    rights = rights_;
    checked_at = rights_checked_at_;
  }
  if (watcher) watcher->ReplaceRights(rights, checked_at);
  if (parts_.clock.MonotonicNow() - checked_at <= kMaxRightsAge) return rights;
  parts_.check_rights();
  return nullptr;
}

void WatchAllReactor::TakeSnapshotStep() {
  const auto rights = FreshRights();
  if (!rights) return RetryIn(kRetryWait);
  auto next = snapshot_->Step(*rights);
  if (!next.ok()) {
    if (next.status().code() == absl::StatusCode::kFailedPrecondition) return End(next.status());
    return RetryIn(kRetryWait);
  }
  if (next->message.ByteSizeLong() > 0) ready_ = std::move(next->message);
  if (next->again) RetryIn(kRetryWait / 4);
  if (!next->complete) return;
  ready_.emplace().set_snapshot_complete(true);
  const absl::Status opened =
      Open(events::ResumeToken{.epoch = next->epoch, .position = next->position, .event_hash = 0});
  snapshot_.reset();
  parts_.sessions.EndSnapshot();
  if (!opened.ok()) End(opened);
}

void WatchAllReactor::Follow() {
  std::shared_ptr<fanout::Watcher> watcher;
  {
    std::lock_guard lock(mutex_);
    watcher = watcher_;
  }
  fanout::Step step = watcher->Next(parts_.clock.MonotonicNow(), parts_.max_batch_bytes);
  switch (step.kind) {
    case fanout::Step::Kind::kSend:
    case fanout::Step::Kind::kBookmark:
      return Send(step);
    case fanout::Step::Kind::kWait:
      caught_up_ = true;
      state_ = WatchState::kFollowing;
      return;
    case fanout::Step::Kind::kReadLog:
      caught_up_ = false;
      state_ = WatchState::kReplaying;
      return RunBlocking([this, watcher] {
        if (!watcher->ReadLog(parts_.log).ok()) RetryIn(kRetryWait);
      });
    case fanout::Step::Kind::kCheckRights:
      FreshRights();
      return RetryIn(kRetryWait);
    case fanout::Step::Kind::kEnd:
      return FinishWith(StatusOf(step.ending));
  }
}

void WatchAllReactor::Send(const fanout::Step& step) {
  const fanout::DeliveryCheck::Verdict verdict = check_->Look(step);
  if (verdict != fanout::DeliveryCheck::Verdict::kExact) {
    parts_.metrics.CountCheck(verdict);
    log::Error("a watch would have sent what its own count contradicts; it ends and resumes",
               {{"position", step.token.position}, {"epoch", step.token.epoch}});
    return FinishWith(SelfCheckFailed());
  }
  int64_t events = 0;
  for (const fanout::Run& run : step.runs) events += run.events;
  parts_.metrics.events_sent.Increment(static_cast<double>(events));
  if (caught_up_ && events > 0) {
    written_time_us_ = step.runs.back().pack->events().back().time_us;
  }
  Write(parts_.encoder.Encode(step));
}

void WatchAllReactor::Write(grpc::ByteBuffer buffer) {
  parts_.metrics.bytes_sent.Increment(static_cast<double>(buffer.Length()));
  buffer_ = std::move(buffer);
  {
    std::lock_guard lock(mutex_);
    write_began_ = parts_.clock.MonotonicNow();
  }
  write_in_flight_ = true;
  StartWrite(&buffer_);
  failpoint::Hit("api.in_stream_write");
}

void WatchAllReactor::FinishWith(const absl::Status& status) {
  phase_ = Phase::kFinished;
  std::shared_ptr<fanout::Watcher> watcher;
  {
    std::lock_guard lock(mutex_);
    finished_at_ = parts_.clock.MonotonicNow();
    watcher = watcher_;
  }
  if (watcher) parts_.hub.Close(watcher);
  if (snapshot_) parts_.sessions.EndSnapshot();
  snapshot_.reset();
  const auto reason = status::ReasonOf(status);
  parts_.metrics.CountEnding(reason ? reason->reason : absl::StatusCodeToString(status.code()));
  Finish(server::ToGrpcStatus(status));
}

void WatchAllReactor::OnWriteDone(bool ok) {
  std::shared_ptr<fanout::Watcher> watcher;
  {
    std::lock_guard lock(mutex_);
    watcher = watcher_;
    write_began_ = absl::InfiniteDuration();
  }
  const int64_t written = std::exchange(written_time_us_, 0);
  if (ok) {
    parts_.metrics.ObserveDelivery(written, parts_.clock.Now());
  } else {
    write_failed_ = true;
  }
  // An idle watch holds no message.
  buffer_.Clear();
  if (watcher) watcher->WriteDone();
  write_in_flight_ = false;
  // The next write follows in this thread of gRPC's: handing it to another would cost more than it
  // takes, and no step waits for anything.
  const auto self = shared_from_this();
  if (signals_.fetch_add(1) == 0) Drive();
}

void WatchAllReactor::OnCancel() {
  cancelled_ = true;
  Wake();
}

void WatchAllReactor::OnDone() {
  auth::CallerPtr caller;
  {
    std::lock_guard lock(mutex_);
    done_ = true;
    caller = caller_;
  }
  if (caller) parts_.sessions.Remove(self_, caller->Identity());
  const auto last = std::move(self_);
}

auth::CallerPtr WatchAllReactor::caller() const {
  std::lock_guard lock(mutex_);
  return caller_;
}

void WatchAllReactor::Recheck(const auth::CallerPtr& caller, absl::Duration checked_at) {
  std::shared_ptr<fanout::Watcher> watcher;
  std::shared_ptr<const events::WatchRights> rights;
  {
    std::lock_guard lock(mutex_);
    if (caller_ != caller) rights_ = WatchRightsOf(*caller);
    caller_ = caller;
    rights_checked_at_ = std::max(rights_checked_at_, checked_at);
    rights = rights_;
    watcher = watcher_;
  }
  if (watcher) watcher->ReplaceRights(std::move(rights), checked_at);
}

void WatchAllReactor::End(const absl::Status& status) {
  {
    std::lock_guard lock(mutex_);
    if (!ending_) ending_ = status;
  }
  Wake();
}

WatchState WatchAllReactor::Tick(absl::Duration now) {
  bool due = retries_;
  bool stalled = false;
  {
    std::lock_guard lock(mutex_);
    stalled = now - write_began_ > kStalledAfter;
    due = due || now - write_began_ > parts_.write_limit;
    if (!done_ && now - finished_at_ > parts_.finish_grace) context_->TryCancel();
  }
  if (due) Wake();
  return stalled ? WatchState::kStalled : state_.load();
}

WatchView WatchAllReactor::View(absl::Duration now) const {
  WatchView view{.state = state_, .age = now - began_};
  std::shared_ptr<fanout::Watcher> watcher;
  {
    std::lock_guard lock(mutex_);
    if (now - write_began_ > kStalledAfter) view.state = WatchState::kStalled;
    if (caller_) view.caller = caller_->Identity();
    watcher = watcher_;
  }
  if (watcher) view.position = watcher->token().position;
  return view;
}

}  // namespace coder::api
