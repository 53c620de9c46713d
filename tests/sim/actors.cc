#include "tests/sim/actors.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "libs/events/resume_token.h"

namespace coder::sim {

using fanout::EndingKind;
using fanout::Step;

constexpr absl::Duration kMaxRightsAge = absl::Seconds(3);
constexpr absl::Duration kRetryWait = absl::Milliseconds(100);

Relay::Relay(Host& host, Database& database, Bus& bus, relay::RelayMetrics& metrics)
    : host_(host),
      sequencer_(host, database, process),
      stream_(host, bus, process, link),
      pass_(sequencer_,
            {.admin = stream_,
             .publisher = stream_,
             .connected = [this, &bus] { return link.up(bus, host_.now()); },
             .changes = [this] { return link.changes; }},
            metrics, host.clock,
            {.max_events = 20,
             .ring_length = 60,
             .answer_limit = absl::Seconds(1),
             .retry_wait = absl::Milliseconds(100)}) {}

void Relay::Run() {
  while (!process.dead) {
    idle = false;
    const auto outcome = pass_.Run({});
    stream_.Arrive();
    idle = outcome.ok() && *outcome == server::PassOutcome::kIdle;
    host_.fibers.Sleep(process, outcome.ok() ? host_.random.Upto(absl::Milliseconds(80))
                                             : host_.random.Upto(absl::Milliseconds(400)));
  }
  // What a killed process has handed to its kernel may still arrive.
  for (int64_t n = host_.random.Below(4); n > 0; --n) {
    stream_.Arrive();
    host_.fibers.Sleep({}, host_.random.Upto(absl::Milliseconds(100)));
  }
}

Replica::Replica(Host& host, Database& database, Bus& bus, std::map<std::string, Caller>& callers,
                 Options options)
    : log(host, database, process),
      hub(options.ring, {}),
      pump(hub, log, options.pump),
      options(options),
      host_(host),
      database_(database),
      bus_(bus),
      callers_(callers) {}

void Replica::Feed() {
  while (!process.dead) {
    pump.Tick(host_.now());
    hub.Tick(host_.now());
    Consume();
    host_.fibers.Sleep(process, host_.random.Upto(absl::Milliseconds(60)));
  }
  hub.EndAll({.kind = EndingKind::kUnavailable, .message = "the process was killed"});
}

void Replica::Consume() {
  const bool hears = link.up(bus_, host_.now()) && bus_.exists && consumer_changes_ == link.changes;
  if (consuming_ && !hears) {
    // Silence is noticed after a while.
    if (!host_.random.OneIn(5)) return;
    consuming_ = false;
    pump.StreamDown();
    return;
  }
  if (!consuming_) {
    if (!link.up(bus_, host_.now()) || !bus_.exists || !host_.random.OneIn(3)) return;
    const uint64_t after_last = bus_.last_sequence + 1;
    next_sequence_ = next_sequence_ == 0 ? after_last : std::min(next_sequence_, after_last);
    consumer_changes_ = link.changes;
    consuming_ = true;
    pump.StreamUp();
    return;
  }
  for (int64_t n = host_.random.Below(6); n > 0 && consuming_ && !process.dead; --n) DeliverNext();
}

void Replica::DeliverNext() {
  const jetstream::StreamMessage* message = bus_.From(next_sequence_);
  if (!message) return;
  const jetstream::StreamMessage taken = *message;
  next_sequence_ = taken.sequence + 1;
  const int64_t fault = host_.random.Below(100);
  const DeliveryFaults& faults = options.faults;
  if (fault < faults.skipped) return;
  Deliver(taken);
  if (fault >= 50 && fault < 50 + faults.repeated) Deliver(taken);
  if (fault >= 75 && fault < 75 + faults.late && !bus_.stored.empty()) {
    const int64_t any = host_.random.Below(static_cast<int64_t>(bus_.stored.size()));
    Deliver(jetstream::StreamMessage(bus_.stored[static_cast<size_t>(any)]));
  }
}

void Replica::Deliver(const jetstream::StreamMessage& message) {
  if (!message.has_headers) return;
  events::Pack::Header header = {.epoch = message.headers.epoch,
                                 .first_position = message.headers.first_position,
                                 .last_position = message.headers.last_position,
                                 .last_event_id = message.headers.last_event_id};
  const int64_t next = hub.ring().bounds().head + 1;
  const bool taken_for_next = (header.first_position < next && !options.drops) ||
                              (header.first_position > next && !options.fills_gaps);
  if (taken_for_next) {
    header.last_position += next - header.first_position;
    header.first_position = next;
  }
  pump.Deliver(events::Pack::Read(header, message.payload));
}

absl::StatusOr<Caller> Replica::Ask(const std::string& caller) {
  host_.Pause(process, database_.latency());
  if (process.dead || !database_.up()) {
    return absl::UnavailableError("ask about rights: the database cannot be reached");
  }
  const Caller found = callers_.at(caller);
  host_.Pause(process, database_.latency());
  return found;
}

void Replica::CheckRights() {
  while (!process.dead) {
    host_.fibers.Sleep(process, absl::Seconds(1) + host_.random.Upto(absl::Seconds(1)));
    if (!options.checks_rights) continue;
    // The hub keeps them in the order of a hash that no seed decides.
    std::vector<std::string> watching = hub.Callers();
    std::sort(watching.begin(), watching.end());
    for (const std::string& id : watching) {
      const absl::Duration asked_at = host_.now();
      const auto caller = Ask(id);
      if (!caller.ok()) continue;
      if (caller->admitted) {
        hub.ReplaceRights(id, std::make_shared<events::WatchRights>(caller->rights), asked_at);
      } else {
        hub.EndCaller(id, {.kind = EndingKind::kForbidden, .message = "ask for the right"});
      }
    }
  }
}

bool Replica::caught_up() const {
  const fanout::Ring::Bounds bounds = hub.ring().bounds();
  const storage::LogCursor& cursor = database_.state().cursor;
  return pump.primed() && bounds.epoch == cursor.epoch && bounds.head == cursor.head;
}

void Client::BeginAnew() {
  token_.reset();
  chain_ = {.client = options_.name, .caller = options_.caller, .filter = options_.filter};
}

void Client::Run() {
  fiber_ = host_.fibers.current();
  BeginAnew();
  while (!host_.fibers.finishing()) {
    const auto replica =
        replicas_[static_cast<size_t>(host_.random.Below(static_cast<int64_t>(replicas_.size())))];
    if (!replica->process.dead && replica->pump.primed()) Connect(replica);
    host_.fibers.Sleep(process_, kRetryWait + host_.random.Upto(kRetryWait));
  }
}

void Client::Connect(const std::shared_ptr<Replica>& replica) {
  const absl::Duration asked_at = host_.now();
  const auto caller = replica->Ask(options_.caller);
  if (!caller.ok() || !caller->admitted) return;
  std::optional<events::ResumeToken> start;
  if (token_) {
    const auto decoded = events::DecodeResumeToken(*token_);
    if (!decoded.ok()) return host_.checker.Fail("Resumable", "a token cannot be read");
    start = *decoded;
    ++resumes_;
  }
  auto opened = replica->hub.Open(
      {.caller_id = options_.caller,
       .filter = options_.filter,
       .rights = std::make_shared<events::WatchRights>(caller->rights),
       .rights_checked_at = asked_at,
       .bookmark_interval = options_.bookmark_interval,
       .max_rights_age = replica->options.checks_rights ? kMaxRightsAge : absl::InfiniteDuration(),
       .wake =
           [this] {
             woken_ = true;
             host_.fibers.Wake(fiber_);
           }},
      start, replica->log, host_.now());
  if (const auto* refusal = std::get_if<fanout::Ending>(&opened)) return TakeEnding(*refusal);
  const auto watcher = std::get<std::shared_ptr<fanout::Watcher>>(opened);
  if (!token_) {
    chain_.cursor = watcher->token().position;
    chain_.epoch = watcher->epoch();
  }
  examined_.clear();
  Follow(*replica, *watcher);
  replica->hub.Close(watcher);
}

void Client::Follow(Replica& replica, fanout::Watcher& watcher) {
  while (!host_.fibers.finishing() && !replica.process.dead) {
    woken_ = false;
    Step step = watcher.Next(host_.now(), options_.max_bytes);
    examined_.push_back({.up_to = watcher.token().position, .at = host_.now()});
    switch (step.kind) {
      case Step::Kind::kSend:
      case Step::Kind::kBookmark:
        if (!Read(replica, watcher, step)) return;
        break;
      case Step::Kind::kWait:
        if (!woken_) host_.fibers.Park(absl::InfiniteDuration());
        break;
      case Step::Kind::kReadLog:
        if (!watcher.ReadLog(replica.log).ok()) host_.fibers.Sleep(process_, kRetryWait);
        break;
      case Step::Kind::kCheckRights:
        if (!RenewRights(replica, watcher)) host_.fibers.Sleep(process_, kRetryWait);
        break;
      case Step::Kind::kEnd:
        return TakeEnding(step.ending);
    }
  }
}

bool Client::Read(Replica& replica, fanout::Watcher& watcher, Step& step) {
  if (!hurried_) host_.fibers.Sleep(process_, host_.random.Upto(options_.read_time));
  const bool leaves = !hurried_ && host_.random.OneIn(options_.patience);
  // Whoever goes away may not have got the last message.
  if (leaves && host_.random.OneIn(2)) return false;
  host_.checker.Receive(chain_, step, examined_);
  examined_.clear();
  for (const fanout::Run& run : step.runs) received_ += run.events;
  token_ = events::EncodeResumeToken(step.token);
  if (leaves || replica.process.dead) return false;
  watcher.WriteDone();
  return true;
}

bool Client::RenewRights(Replica& replica, fanout::Watcher& watcher) {
  const absl::Duration asked_at = host_.now();
  const auto caller = replica.Ask(options_.caller);
  if (!caller.ok()) return false;
  if (!caller->admitted) {
    watcher.End({.kind = EndingKind::kForbidden, .message = "ask for the right"});
    return true;
  }
  watcher.ReplaceRights(std::make_shared<events::WatchRights>(caller->rights), asked_at);
  return true;
}

void Client::TakeEnding(const fanout::Ending& ending) {
  // Without a token there is nothing that could be of another time.
  if (token_ || chain_.epoch > 0) host_.checker.End(chain_, ending, host_.now());
  switch (ending.kind) {
    case EndingKind::kTooOld:
    case EndingKind::kTokenForeign:
    case EndingKind::kTokenFuture:
    case EndingKind::kEpochChanged:
    case EndingKind::kConflict:
    case EndingKind::kFellBehind:
      BeginAnew();
      break;
    default:
      break;
  }
  // A stream that ended before its first message has no token to return with.
  if (!token_) BeginAnew();
}

}  // namespace coder::sim
