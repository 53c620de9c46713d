#include "libs/fanout/event_pump.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <random>
#include <thread>

#include "libs/fanout/fake_log.h"

namespace coder::fanout {
namespace {

using Kind = Step::Kind;

// Follows one watch to its end and keeps the version (= position) of everything it was sent.
class Reader {
 public:
  Reader(WatchHub& hub, LogReader& log, Watcher::Options options,
         std::optional<events::ResumeToken> start = std::nullopt)
      : log_(log) {
    options.wake = [] {};
    if (!options.rights) {
      options.rights =
          std::make_shared<events::WatchRights>(events::WatchRights{.everything = true});
    }
    auto opened = hub.Open(std::move(options), start, log, absl::ZeroDuration());
    REQUIRE(std::holds_alternative<std::shared_ptr<Watcher>>(opened));
    watcher = std::get<std::shared_ptr<Watcher>>(opened);
  }

  // Takes steps until there is nothing to do.
  Kind Drain(absl::Duration now = absl::ZeroDuration(), size_t max_bytes = 200) {
    for (;;) {
      Step step = watcher->Next(now, max_bytes);
      if (step.kind == Kind::kReadLog) {
        if (!watcher->ReadLog(log_).ok()) return step.kind;
        continue;
      }
      if (step.kind == Kind::kEnd) ending = step.ending;
      if (step.kind != Kind::kSend && step.kind != Kind::kBookmark) return step.kind;
      for (const Run& run : step.runs) Keep(run);
      token = step.token;
      bookmarks += step.kind == Kind::kBookmark;
      watcher->WriteDone();
    }
  }

  std::shared_ptr<Watcher> watcher;
  std::vector<int64_t> seen;
  events::ResumeToken token;
  std::optional<Ending> ending;
  int bookmarks = 0;

 private:
  void Keep(const Run& run) {
    const auto pack = events::Pack::Read({.first_position = 1, .last_position = run.events},
                                         std::string(run.bytes));
    for (const auto& event : pack->events()) {
      seen.push_back(event.readable ? event.keys.workspace_version : -1);
    }
  }

  LogReader& log_;
};

std::vector<int64_t> Range(int64_t first, int64_t last) {
  std::vector<int64_t> range;
  for (int64_t i = first; i <= last; ++i) range.push_back(i);
  return range;
}

struct World {
  explicit World(int64_t ring_events = 1000, WatchHub::Limits limits = {})
      : hub({.events = ring_events, .bytes = 1 << 20}, limits),
        pump(hub, log, {.prime_events = 50}) {}
  FakeLog log;
  WatchHub hub;
  EventPump pump;
};

TEST_CASE("whatever the stream does, every watch sees each position once and in order") {
  for (int seed = 0; seed < 60; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    const auto below = [&](int n) { return static_cast<int>(random() % n); };
    World world(40);
    REQUIRE(world.pump.Prime().ok());
    Reader fast(world.hub, world.log, {.caller_id = "fast"});
    Reader slow(world.hub, world.log, {.caller_id = "slow"});
    std::vector<std::shared_ptr<const events::Pack>> sent;
    absl::Duration now;
    for (int step = 0; step < 150; ++step) {
      now += absl::Milliseconds(100);
      if (below(2) == 0) sent.push_back(world.log.Append(1 + below(8)));
      world.log.SetAvailable(below(6) != 0);
      // A lost, repeated or late message is one drawn from anywhere in what was published.
      for (int i = below(3); i > 0 && !sent.empty(); --i) {
        world.pump.Deliver(sent[below(2) == 0 ? sent.size() - 1 : below(sent.size())]);
      }
      if (below(15) == 0) world.pump.StreamDown();
      if (below(10) == 0) world.pump.StreamUp();
      if (below(3) == 0) world.pump.Tick(now);
      fast.Drain();
      if (below(25) == 0) slow.Drain();
    }
    world.log.SetAvailable(true);
    world.pump.Tick(now + absl::Minutes(1));
    fast.Drain();
    slow.Drain();
    const int64_t head = world.log.Bounds()->head;
    CHECK(fast.seen == Range(1, head));
    CHECK(slow.seen == Range(1, head));
    CHECK(world.pump.counters().conflicts == 0);
  }
}

TEST_CASE("a watch resumes after its token on another replica") {
  World one;
  World other;
  for (World* world : {&one, &other}) {
    for (int i = 0; i < 10; ++i) world->log.Append(10);
    REQUIRE(world->pump.Prime().ok());
  }
  Reader first(one.hub, one.log, {}, events::ResumeToken{.epoch = 1});
  first.Drain();
  CHECK(first.seen == Range(1, 100));
  other.log.Append(5);
  other.pump.Tick(absl::ZeroDuration());
  const int64_t calls = other.log.calls();
  Reader second(other.hub, other.log, {}, first.token);
  second.Drain();
  CHECK(second.seen == Range(101, 105));
  CHECK(other.log.calls() == calls);
}

TEST_CASE("a start that cannot be kept is refused by its kind") {
  World world(10);
  for (int i = 0; i < 10; ++i) world.log.Append(10);
  world.log.DropBelow(31);
  REQUIRE(world.pump.Prime().ok());
  const auto refusal = [&](events::ResumeToken token) {
    auto opened = world.hub.Open({.wake = [] {}}, token, world.log, absl::ZeroDuration());
    return std::get<Ending>(opened);
  };
  CHECK(refusal({.epoch = 1, .position = 5, .event_hash = 7}).kind == EndingKind::kTooOld);
  CHECK(refusal({.epoch = 1, .position = 5, .event_hash = 7}).floor == 30);
  CHECK(refusal({.epoch = 1, .position = 95, .event_hash = 7}).kind == EndingKind::kTokenForeign);
  CHECK(refusal({.epoch = 1, .position = 101, .event_hash = 7}).kind == EndingKind::kTokenFuture);
  CHECK(refusal({.epoch = 0, .position = 95, .event_hash = 7}).kind == EndingKind::kEpochChanged);
  CHECK(refusal({.epoch = 2, .position = 95, .event_hash = 7}).kind == EndingKind::kTokenFuture);
}

TEST_CASE("a set back log ends every watch, and a new one follows it") {
  World world;
  for (int i = 0; i < 4; ++i) world.log.Append(5);
  REQUIRE(world.pump.Prime().ok());
  Reader reader(world.hub, world.log, {});
  world.log.SetBack(10);
  world.pump.Deliver(world.log.Append(3));
  CHECK(reader.Drain() == Kind::kEnd);
  CHECK(reader.ending->kind == EndingKind::kEpochChanged);
  Reader next(world.hub, world.log, {}, events::ResumeToken{.epoch = 2, .position = 10});
  next.Drain();
  CHECK(next.seen == Range(1'000'011, 1'000'013));
}

TEST_CASE("nothing is taken from a log that was restored and has not begun its next epoch") {
  World world(10);
  world.log.SetBack(0);
  REQUIRE(world.pump.Prime().ok());
  Reader reader(world.hub, world.log, {}, events::ResumeToken{.epoch = 2});
  FakeLog restored;
  for (int i = 0; i < 10; ++i) {
    world.log.Append(5);
    restored.Append(5);
    world.pump.Tick(absl::Seconds(i));
  }
  REQUIRE(reader.watcher->Next(absl::ZeroDuration(), 200).kind == Kind::kReadLog);
  CHECK(reader.watcher->ReadLog(restored).code() == absl::StatusCode::kUnavailable);
  CHECK(world.hub.TokenAt(1, restored).status().code() == absl::StatusCode::kUnavailable);
  CHECK(reader.Drain() == Kind::kWait);
  CHECK(reader.seen.size() == 50);
  CHECK(reader.seen.front() == 1'000'001);
}

TEST_CASE("two events at one position end every watch") {
  World world;
  world.log.Append(5);
  REQUIRE(world.pump.Prime().ok());
  world.pump.StreamUp();
  Reader reader(world.hub, world.log, {});
  std::string payload;
  events::AppendFramed(EventBytes("o", "o", "another", 9), payload);
  world.pump.Deliver(
      events::Pack::Read({.epoch = 1, .first_position = 5, .last_position = 5}, payload));
  CHECK(reader.Drain() == Kind::kEnd);
  CHECK(reader.ending->kind == EndingKind::kConflict);
  CHECK(world.pump.counters().conflicts == 1);
}

TEST_CASE("a watch sees what its filter and rights admit, and a bookmark when that is nothing") {
  World world;
  world.log.Append(9);
  REQUIRE(world.pump.Prime().ok());
  events::WatchRights rights{.organization_ids = {"org-1"}};
  Reader reader(world.hub, world.log,
                {.filter = {.owner_ids = {"owner-0"}},
                 .rights = std::make_shared<events::WatchRights>(rights)},
                events::ResumeToken{.epoch = 1});
  CHECK(reader.Drain() == Kind::kWait);
  CHECK(reader.seen == std::vector<int64_t>{3, 9});
  world.log.Append(1);
  world.pump.Tick(absl::ZeroDuration());
  CHECK(reader.Drain() == Kind::kWait);
  CHECK(reader.Drain(absl::Seconds(6)) == Kind::kCheckRights);
  reader.watcher->ReplaceRights(std::make_shared<events::WatchRights>(), absl::Seconds(10));
  world.log.Append(9);
  world.pump.Tick(absl::Seconds(10));
  reader.Drain(absl::Seconds(10));
  CHECK(reader.seen == std::vector<int64_t>{3, 9});
  CHECK(reader.bookmarks == 1);
  CHECK(reader.token.position == 19);
}

TEST_CASE("a quiet watch sleeps on while its rights stand, and wakes when they change") {
  World world(100);
  REQUIRE(world.pump.Prime().ok());
  int wakes = 0;
  const auto rights = std::make_shared<const events::WatchRights>();
  auto opened = world.hub.Open({.rights = rights,
                                .bookmark_interval = absl::Seconds(60),
                                .max_rights_age = absl::Seconds(5),
                                .wake = [&wakes] { ++wakes; }},
                               std::nullopt, world.log, absl::ZeroDuration());
  const auto watcher = std::get<std::shared_ptr<Watcher>>(opened);
  REQUIRE(watcher->Next(absl::ZeroDuration(), 1 << 20).kind == Kind::kWait);
  watcher->ReplaceRights(rights, absl::Seconds(2));
  world.hub.Tick(absl::Seconds(6));
  CHECK(wakes == 0);
  world.hub.Tick(absl::Seconds(7));
  CHECK(wakes == 1);
  CHECK(watcher->Next(absl::Seconds(8), 1 << 20).kind == Kind::kCheckRights);
  watcher->ReplaceRights(rights, absl::Seconds(8));
  CHECK(wakes == 2);
  watcher->ReplaceRights(std::make_shared<const events::WatchRights>(), absl::Seconds(8));
  CHECK(wakes == 3);
  world.hub.Close(watcher);
}

TEST_CASE("an older answer about rights does not replace a newer one") {
  World world;
  REQUIRE(world.pump.Prime().ok());
  Reader reader(world.hub, world.log, {.caller_id = "a", .max_rights_age = absl::Seconds(5)});
  reader.watcher->ReplaceRights(std::make_shared<events::WatchRights>(), absl::Seconds(4));
  reader.watcher->ReplaceRights(
      std::make_shared<events::WatchRights>(events::WatchRights{.everything = true}),
      absl::Seconds(3));
  world.log.Append(3);
  world.pump.Tick(absl::Seconds(5));
  CHECK(reader.Drain(absl::Seconds(5)) == Kind::kWait);
  CHECK(reader.seen.empty());
}

TEST_CASE("rights are as old as when they were asked for, however long opening takes") {
  World world;
  world.log.Append(3);
  REQUIRE(world.pump.Prime().ok());
  Reader reader(world.hub, world.log,
                {.rights_checked_at = -absl::Seconds(6), .max_rights_age = absl::Seconds(5)},
                events::ResumeToken{.epoch = 1});
  CHECK(reader.Drain() == Kind::kCheckRights);
  CHECK(reader.seen.empty());
}

TEST_CASE("a token of an epoch that only the log knows yet is good in a moment") {
  World world;
  world.log.Append(5);
  REQUIRE(world.pump.Prime().ok());
  world.log.SetBack(5);
  const events::ResumeToken token{
      .epoch = 2, .position = 5, .event_hash = world.hub.ring().EventHashAt(5).value()};
  const auto open = [&] {
    return world.hub.Open({.wake = [] {}}, token, world.log, absl::ZeroDuration());
  };
  CHECK(std::get<Ending>(open()).kind == EndingKind::kUnavailable);
  world.pump.Tick(absl::ZeroDuration());
  CHECK(std::holds_alternative<std::shared_ptr<Watcher>>(open()));
}

TEST_CASE("a watch the log has passed ends as too slow") {
  World world(10);
  world.log.Append(5);
  REQUIRE(world.pump.Prime().ok());
  Reader reader(world.hub, world.log, {}, events::ResumeToken{.epoch = 1});
  reader.Drain();
  for (int i = 0; i < 10; ++i) world.log.Append(5);
  world.log.DropBelow(30);
  world.pump.Tick(absl::ZeroDuration());
  CHECK(reader.Drain() == Kind::kEnd);
  CHECK(reader.ending->kind == EndingKind::kFellBehind);
}

TEST_CASE("watches are capped, by caller and in all") {
  World world(10, {.watches = 3, .watches_per_caller = 2});
  REQUIRE(world.pump.Prime().ok());
  const auto open = [&](const char* caller) {
    auto opened = world.hub.Open({.caller_id = caller, .wake = [] {}}, std::nullopt, world.log,
                                 absl::ZeroDuration());
    return std::holds_alternative<std::shared_ptr<Watcher>>(opened)
               ? std::get<std::shared_ptr<Watcher>>(opened)
               : nullptr;
  };
  const auto first = open("a");
  CHECK(first);
  CHECK(open("a"));
  CHECK_FALSE(open("a"));
  CHECK(open("b"));
  CHECK_FALSE(open("c"));
  world.hub.Close(first);
  CHECK(open("c"));
  CHECK(world.hub.watches() == 3);
}

TEST_CASE("watches on many threads follow a stream that is pumped on another") {
  World world(100);
  REQUIRE(world.pump.Prime().ok());
  constexpr int64_t kEvents = 3000;
  std::vector<std::unique_ptr<Reader>> readers;
  for (int i = 0; i < 4; ++i)
    readers.push_back(std::make_unique<Reader>(world.hub, world.log,
                                               Watcher::Options{.caller_id = std::to_string(i)}));
  std::vector<std::jthread> threads;
  for (auto& reader : readers) {
    threads.emplace_back([&reader] {
      while (static_cast<int64_t>(reader->seen.size()) < kEvents) {
        reader->Drain();
        std::this_thread::yield();
      }
    });
  }
  world.pump.StreamUp();
  for (int64_t sent = 0; sent < kEvents; sent += 3) {
    const auto pack = world.log.Append(3);
    if (sent % 7 != 0) world.pump.Deliver(pack);
  }
  world.pump.StreamUp();
  threads.clear();
  for (auto& reader : readers) CHECK(reader->seen == Range(1, kEvents));
}

}  // namespace
}  // namespace coder::fanout
