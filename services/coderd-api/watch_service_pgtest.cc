#include <catch2/catch.hpp>
#include <map>
#include <thread>

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

TEST_CASE("a snapshot under writes holds everything once, with what follows") {
  Fixture f;
  std::vector<lifecycle::BuildId> builds;
  for (int i = 0; i < 30; ++i) {
    builds.push_back(f.AddBuilt("ws-" + std::to_string(i), f.world.owner));
    f.WriteEvent(builds.back());
  }
  constexpr int kRounds = 10;
  std::jthread writer([&] {
    for (int round = 0; round < kRounds; ++round) {
      for (const auto& build : builds) f.WriteEvent(build);
    }
  });
  v1::WatchAllWorkspaceBuildsRequest request;
  request.set_snapshot(true);
  Watch watch(f, f.owner, request);
  bool complete = false;
  std::map<std::string, int64_t> versions;
  const auto done = [&] {
    if (!complete || versions.size() != builds.size()) return false;
    for (const auto& [id, version] : versions) {
      if (version != kRounds + 1) return false;
    }
    return true;
  };
  int wrong = 0;
  while (!done() && watch.Next()) {
    CHECK(watch.response.resume_token().empty() ==
          !(complete || watch.response.snapshot_complete()));
    complete = complete || watch.response.snapshot_complete();
    for (const auto& item : watch.response.snapshot_items()) {
      if (!versions.emplace(item.workspace_id(), item.workspace_version()).second) ++wrong;
    }
    for (const auto& watched : watch.response.events()) {
      const auto& event = watched.event();
      const auto [known, fresh] =
          versions.try_emplace(event.workspace_id(), event.workspace_version());
      if (!fresh && event.workspace_version() != known->second + 1) ++wrong;
      known->second = event.workspace_version();
    }
  }
  CHECK(wrong == 0);
  CHECK(done());
}

}  // namespace
}  // namespace coder::api
