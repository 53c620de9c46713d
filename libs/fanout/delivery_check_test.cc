#include "libs/fanout/delivery_check.h"

#include <catch2/catch.hpp>

#include "libs/fanout/fake_log.h"
#include "libs/fanout/watch_hub.h"

namespace coder::fanout {
namespace {

using Verdict = DeliveryCheck::Verdict;

Step Sent(int64_t up_to, int64_t events, int64_t left_out) {
  Step step{.kind = Step::Kind::kSend};
  if (events > 0) step.runs.push_back({.events = events});
  step.token.position = up_to;
  step.left_out = left_out;
  return step;
}

TEST_CASE("each position is accounted for once") {
  DeliveryCheck check(10);
  CHECK(check.Look(Sent(12, 2, 0)) == Verdict::kExact);
  CHECK(check.Look(Sent(20, 3, 5)) == Verdict::kExact);
  CHECK(check.Look(Sent(20, 0, 0)) == Verdict::kExact);
}

TEST_CASE("a lost position is a gap; one too many, or a token that falls back, a duplicate") {
  DeliveryCheck check(10);
  CHECK(check.Look(Sent(13, 2, 0)) == Verdict::kGap);
  CHECK(check.Look(Sent(14, 2, 0)) == Verdict::kDuplicate);
  CHECK(check.Look(Sent(13, 0, 0)) == Verdict::kDuplicate);
}

// Verify that a watch's own account adds up while filter, rights, ring and log take turns.
TEST_CASE("a watch's account adds up over the ring and the log, and when its rights change") {
  FakeLog log;
  WatchHub hub({.events = 8}, {});
  hub.Reset(1, 0);
  auto narrow = std::make_shared<events::WatchRights>();
  narrow->organization_ids = {"org-1"};
  auto wide = std::make_shared<events::WatchRights>();
  wide->everything = true;
  auto opened =
      hub.Open({.rights = narrow, .wake = [] {}}, std::nullopt, log, absl::ZeroDuration());
  const auto watcher = std::get<std::shared_ptr<Watcher>>(opened);
  DeliveryCheck check(watcher->token().position);
  int64_t sent = 0;
  for (int round = 0; round < 20; ++round) {
    for (int pack = 0; pack <= round % 5; ++pack) hub.Admit(log.Append(3));
    watcher->ReplaceRights(round % 2 == 0 ? narrow : wide, absl::ZeroDuration());
    for (Step step; step.kind != Step::Kind::kBookmark;) {
      step = watcher->Next(absl::ZeroDuration(), 200);
      if (step.kind == Step::Kind::kWait) break;
      if (step.kind == Step::Kind::kReadLog) {
        REQUIRE(watcher->ReadLog(log).ok());
        step = {};
        continue;
      }
      REQUIRE(check.Look(step) == Verdict::kExact);
      for (const Run& run : step.runs) sent += run.events;
      watcher->WriteDone();
    }
  }
  CHECK(sent > 100);
  hub.Close(watcher);
}

}  // namespace
}  // namespace coder::fanout
