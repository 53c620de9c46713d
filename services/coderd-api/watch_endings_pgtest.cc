#include <catch2/catch.hpp>
#include <map>
#include <string>

#include "services/coderd-api/watch_service_fixture.h"

namespace coder::api {
namespace {

using testing::IsOk;
using Fixture = WatchServiceFixture;

// A refused token's error names what would have been accepted.
void CheckRefused(Fixture& f, const std::string& token, const std::string& reason,
                  grpc::StatusCode code) {
  Watch watch(f, f.owner, From(token));
  CHECK(watch.Ending() == reason);
  CHECK(watch.status.error_code() == code);
  const auto told = status::ReasonOf(server::StatusFromGrpc(watch.status));
  REQUIRE(told);
  CHECK(told->metadata == std::map<std::string, std::string>{{"floor", "0"}, {"head", "3"}});
}

TEST_CASE("tokens that cannot be resumed say why") {
  Fixture f;
  const auto build = f.AddBuilt("dev", f.world.owner);
  for (int i = 0; i < 3; ++i) f.WriteEvent(build);
  f.AwaitHead(3);
  CheckRefused(f, "rubbish", "TOKEN_INVALID", grpc::StatusCode::INVALID_ARGUMENT);
  CheckRefused(f, TokenOf(1, 2, 12345), "TOKEN_INVALID", grpc::StatusCode::INVALID_ARGUMENT);
  CheckRefused(f, TokenOf(1, 99, 12345), "TOKEN_INVALID", grpc::StatusCode::INVALID_ARGUMENT);
  CheckRefused(f, TokenOf(2, 1, 12345), "TOKEN_INVALID", grpc::StatusCode::INVALID_ARGUMENT);
  CheckRefused(f, TokenOf(0, 1, 12345), "EPOCH_CHANGED", grpc::StatusCode::FAILED_PRECONDITION);
  Watch open(f, f.owner, {});
  REQUIRE(open.Next());
  f.world.Run("UPDATE relay_cursor SET epoch = 2");
  CHECK(open.Ending() == "EPOCH_CHANGED");
  CHECK(Watch(f, f.owner, From(open.token)).Ending() == "EPOCH_CHANGED");
}

TEST_CASE("a token below the log's floor is too old") {
  Fixture f(true, {.events = 1});
  const auto build = f.AddBuilt("dev", f.world.owner);
  for (int i = 0; i < 3; ++i) {
    f.WriteEvent(build);
    f.AwaitHead(i + 1);
  }
  f.world.Run("DELETE FROM build_event_packs WHERE last_position < 3");
  f.world.Run("UPDATE relay_cursor SET log_floor = 3");
  Watch old(f, f.owner, From(TokenOf(1, 1, 12345)));
  CHECK(old.Ending() == "TOKEN_TOO_OLD");
  CHECK(old.status.error_code() == grpc::StatusCode::OUT_OF_RANGE);
  const auto told = status::ReasonOf(server::StatusFromGrpc(old.status));
  REQUIRE(told);
  CHECK(told->metadata == std::map<std::string, std::string>{{"floor", "2"}, {"head", "3"}});
}

TEST_CASE("a member sees own workspaces only, and more or nothing once the rights change") {
  Fixture f;
  const auto mine = f.AddBuilt("mine", f.world.other);
  const auto theirs = f.AddBuilt("theirs", f.world.owner);
  Watch watch(f, f.member, {});
  REQUIRE(watch.Next());
  f.WriteEvent(theirs);
  f.WriteEvent(mine);
  watch.Expect(1);
  CHECK(watch.events[0].event().workspace_name() == "mine");

  const auto change = [&](const std::string& sql) {
    f.world.Run(sql, {f.world.other.ToString()});
    f.world.Run("UPDATE users SET access_version = access_version + 1 WHERE id = $1",
                {f.world.other.ToString()});
  };
  const auto caller_sees_all = [&](bool all) {
    const auto deadline = clock::Deadline::After(kPatience);
    for (;;) {
      const auto caller = f.authenticator.Authenticate("Bearer " + f.member.text,
                                                       clock::Deadline::After(kPatience));
      REQUIRE_THAT(caller, IsOk());
      if ((*caller)->site_roles.empty() != all || deadline.Expired()) return;
    }
  };
  change("UPDATE users SET site_roles = '{template-admin}' WHERE id = $1");
  caller_sees_all(true);
  REQUIRE_THAT(f.sessions.CheckRights(f.authenticator, f.clock), IsOk());
  f.WriteEvent(theirs);
  watch.Expect(2);
  CHECK(watch.events[1].event().workspace_name() == "theirs");

  change("UPDATE users SET site_roles = '{}' WHERE id = $1");
  caller_sees_all(false);
  REQUIRE_THAT(f.sessions.CheckRights(f.authenticator, f.clock), IsOk());
  f.WriteEvent(theirs);
  f.WriteEvent(mine);
  watch.Expect(3);
  CHECK(watch.events[2].event().workspace_name() == "mine");

  f.world.Run("UPDATE api_keys SET revoked_at = now() WHERE id = $1", {f.member.id});
  CHECK(watch.Ending() == "TOKEN_REVOKED");
}

TEST_CASE("a reader that does not read is cut, and others go on") {
  Fixture f;
  const auto build = f.AddBuilt("dev", f.world.owner);
  f.world.Run("UPDATE provisioner_jobs SET completed_at = now(), error = repeat('x', 1000)");
  for (int i = 0; i < 300; ++i) f.WriteEvent(build);
  f.AwaitHead(300);
  Watch slow(f, f.owner, From(TokenOf(1, 0, 0)));
  f.AwaitMetric("coderd_watch_events_sent_total", "", 1);
  Watch quick(f, f.owner, From(TokenOf(1, 0, 0)));
  quick.Expect(300);
  size_t written = 300;
  const auto deadline = clock::Deadline::After(kPatience);
  while (f.sessions.size() > 1 && !deadline.Expired()) {
    f.WriteEvent(build);
    quick.Expect(++written);
  }
  CHECK(f.sessions.size() == 1);
  CHECK(f.Metric("coderd_watch_endings_total", "FELL_BEHIND") == 1);
  // What reached the reader before it was cut has a token, and nothing after that is lost.
  while (slow.Next()) {
  }
  REQUIRE(slow.events.size() < written);
  Watch returned(f, f.owner, slow.token.empty() ? From(TokenOf(1, 0, 0)) : From(slow.token));
  returned.Expect(written - slow.events.size());
  CHECK(returned.events.front().position() == slow.position + 1);
}

// Verify that what a stalled reader costs does not grow with what it misses.
TEST_CASE("a stalled reader is handed nothing more, however much is written") {
  Fixture f;
  f.parts.write_limit = kPatience;
  const auto build = f.AddBuilt("dev", f.world.owner);
  f.world.Run("UPDATE provisioner_jobs SET completed_at = now(), error = repeat('x', 1000)");
  int64_t head = 0;
  for (; head < 300; ++head) f.WriteEvent(build);
  Watch slow(f, f.owner, From(TokenOf(1, 0, 0)));
  f.AwaitMetric("coderd_watch_watchers", "stalled", 1);
  const double handed = f.Metric("coderd_watch_bytes_sent_total");
  for (; head < 500; ++head) f.WriteEvent(build);
  f.AwaitHead(head);
  CHECK(f.Metric("coderd_watch_watchers", "stalled") == 1);
  CHECK(f.Metric("coderd_watch_bytes_sent_total") == handed);
  slow.Expect(head);
}

TEST_CASE("limits, the experiment and draining are told in their words") {
  Fixture f;
  Watch first(f, f.owner, {});
  Watch second(f, f.owner, {});
  Watch third(f, f.owner, {});
  REQUIRE(first.Next());
  REQUIRE(second.Next());
  REQUIRE(third.Next());
  CHECK(Watch(f, f.owner, {}).Ending() == "TOO_MANY_WATCHES");
  v1::WatchAllWorkspaceBuildsRequest contradictory;
  contradictory.set_snapshot(true);
  contradictory.mutable_start_time();
  Watch refused(f, f.member, contradictory);
  CHECK_FALSE(refused.Next());
  CHECK(refused.reader->Finish().error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  f.sessions.Drain();
  CHECK(first.Ending() == "DRAINING");
  CHECK(Watch(f, f.member, {}).Ending() == "DRAINING");

  Fixture off(false);
  CHECK(Watch(off, off.owner, {}).Ending() == "EXPERIMENT_DISABLED");
}

}  // namespace
}  // namespace coder::api
