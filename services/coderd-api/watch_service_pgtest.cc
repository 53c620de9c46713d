#include <catch2/catch.hpp>

#include "services/coderd-api/watch_service_fixture.h"

namespace coder::api {
namespace {

using Fixture = WatchServiceFixture;

TEST_CASE("events come once and in order, and a token resumes after the last one") {
  Fixture f;
  const auto build = f.AddBuilt("dev", f.world.owner);
  std::string token;
  {
    Watch watch(f, f.owner, {});
    REQUIRE(watch.Next());
    CHECK_FALSE(watch.token.empty());
    for (int i = 0; i < 5; ++i) f.WriteEvent(build);
    watch.Expect(5);
    CHECK(watch.events[4].event().workspace_version() == 5);
    CHECK(watch.events[0].event().workspace_name() == "dev");
    token = watch.token;
  }
  for (int i = 0; i < 5; ++i) f.WriteEvent(build);
  Watch resumed(f, f.owner, From(token));
  resumed.Expect(5);
  CHECK(resumed.events[0].event().workspace_version() == 6);
  CHECK(resumed.events[4].event().workspace_version() == 10);
}

TEST_CASE("what is behind the ring comes from the log; time and position find it") {
  Fixture f(true, {.events = 2});
  const auto build = f.AddBuilt("dev", f.world.owner);
  for (int i = 0; i < 20; ++i) {
    f.WriteEvent(build);
    f.AwaitHead(i + 1);
  }
  Watch all(f, f.owner, From(TokenOf(1, 0, 0)));
  all.Expect(20);
  v1::WatchAllWorkspaceBuildsRequest since;
  since.mutable_start_time()->set_seconds(1);
  Watch timed(f, f.owner, since);
  timed.Expect(20);
}

TEST_CASE("the status tells where log and ring begin and end") {
  Fixture f(true, {.events = 2});
  const auto build = f.AddBuilt("dev", f.world.owner);
  for (int i = 0; i < 5; ++i) {
    f.WriteEvent(build);
    f.AwaitHead(i + 1);
  }
  grpc::ClientContext context;
  context.AddMetadata("authorization", "Bearer " + f.owner.text);
  v1::GetBuildStreamStatusResponse status;
  const grpc::Status got = f.stub->GetBuildStreamStatus(&context, {}, &status);
  INFO(got.error_message());
  REQUIRE(got.ok());
  CHECK(status.epoch() == 1);
  CHECK(status.floor() == 0);
  CHECK(status.head() == 5);
  CHECK(status.ring_floor() == 3);
  CHECK(status.ring_head() == 5);
  CHECK(status.confirmed_position() == 0);  // no stream here
  CHECK(status.source() == v1::BUILD_STREAM_SOURCE_LOG);
  CHECK(status.has_oldest_event_time());
  CHECK(status.watches() == 0);
  CHECK(status.max_watches_per_caller() == 3);
  CHECK(status.max_snapshots() == 1);
  // Both floors are positions a token may name.
  Watch from_the_floor(f, f.owner, From(TokenOf(1, status.floor(), 0)));
  from_the_floor.Expect(5);
}

TEST_CASE("a filter admits only what it names, and bookmarks come on a quiet stream") {
  Fixture f;
  const auto mine = f.AddBuilt("mine", f.world.owner);
  const auto theirs = f.AddBuilt("theirs", f.world.other);
  v1::WatchAllWorkspaceBuildsRequest request;
  request.mutable_filter()->add_owner_ids(f.world.other.ToString());
  request.mutable_bookmark_interval()->set_seconds(1);
  Watch watch(f, f.owner, request);
  REQUIRE(watch.Next());
  const std::string before = watch.token;
  f.WriteEvent(mine);
  f.AwaitHead(1);
  REQUIRE(watch.Next());
  CHECK(watch.response.events_size() == 0);
  CHECK(watch.token != before);
  f.WriteEvent(theirs);
  watch.Expect(1);
  CHECK(watch.events[0].event().workspace_name() == "theirs");
}

TEST_CASE("every series of the metrics is there from the start and moves with real traffic") {
  Fixture f;
  for (const char* reason : {"FELL_BEHIND", "DRAINING", "TOKEN_REVOKED", "OTHER"}) {
    CHECK(f.Metric("coderd_watch_endings_total", reason) == 0);
  }
  for (const char* state : {"snapshot", "replaying", "following", "stalled"}) {
    CHECK(f.Metric("coderd_watch_watchers", state) == 0);
  }
  const auto build = f.AddBuilt("dev", f.world.owner);
  {
    Watch watch(f, f.owner, {});
    REQUIRE(watch.Next());
    f.AwaitMetric("coderd_watch_watchers", "following", 1);
    for (int i = 0; i < 3; ++i) f.WriteEvent(build);
    watch.Expect(3);
    f.AwaitMetric("coderd_watch_delivery_lag_seconds", "", 1);
    CHECK(f.Metric("coderd_watch_events_sent_total") == 3);
    CHECK(f.Metric("coderd_watch_bytes_sent_total") > 300);
  }
  f.AwaitMetric("coderd_watch_endings_total", "CANCELLED", 1);
  f.AwaitMetric("coderd_watch_ring_head_position", "", 3);
  CHECK(f.Metric("coderd_watch_follows_stream") == 0);
  CHECK(Watch(f, f.owner, From("rubbish")).Ending() == "TOKEN_INVALID");
  CHECK(f.Metric("coderd_watch_endings_total", "TOKEN_INVALID") == 1);
  CHECK(f.Metric("coderd_watch_self_check_gaps_total") == 0);
  CHECK(f.Metric("coderd_watch_self_check_duplicates_total") == 0);
}

}  // namespace
}  // namespace coder::api
