#include <catch2/catch.hpp>
#include <condition_variable>
#include <mutex>
#include <string>

#include "coder/api/v1/user.grpc.pb.h"
#include "libs/clock/system_clock.h"
#include "libs/fanout/event_pump.h"
#include "libs/fanout/fake_log.h"
#include "libs/fanout/watch_hub.h"
#include "libs/testing/matchers.h"
#include "libs/testing/nats_server.h"
#include "services/coderd-api/event_feed.h"
#include "services/coderd-api/replica_hints.h"
#include "services/coderd-api/testing/api_server.h"

namespace coder::api {
namespace {

using ::coder::testing::IsOk;

constexpr absl::Duration kPatience = absl::Seconds(60);

// Counts what is heard, and waits for it.
class Counter {
 public:
  void Add() {
    std::lock_guard lock(mutex_);
    ++count_;
    changed_.notify_all();
  }
  bool Reaches(int count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, absl::ToChronoSeconds(kPatience),
                             [&] { return count_ >= count; });
  }
  int count() {
    std::lock_guard lock(mutex_);
    return count_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
};

// What of one replica speaks to NATS.
struct Replica {
  explicit Replica(const std::string& nats_url)
      : feed(
            {.nats_url = nats_url, .tick = absl::Milliseconds(10)}, pump, hints, clock,
            [](absl::Duration) {}, [](const events::Pack&) {}) {
    hints.Hear(kRightsHint, [this] { rights.Add(); });
    hints.Hear(kJobQueueHint, [this] { jobs.Add(); });
    REQUIRE_THAT(feed.Start(), IsOk());
  }
  ~Replica() { feed.Stop(); }

  // Sends on `subject` until the other has heard one more: a hint may be lost, above all before
  // both are connected.
  void SendUntilHeard(const std::string& subject, Counter& other) {
    const int before = other.count();
    const auto deadline = clock::Deadline::After(kPatience);
    while (other.count() == before && !deadline.Expired()) {
      hints.Send(subject);
      clock.Wait(absl::Milliseconds(20), {});
    }
    CHECK(other.count() > before);
  }

  clock::SystemClock clock;
  fanout::WatchHub hub{{}, {}};
  fanout::FakeLog log;
  fanout::EventPump pump{hub, log, {}};
  ReplicaHints hints;
  Counter rights;
  Counter jobs;
  EventFeed feed;
};

TEST_CASE("a hint reaches the other replicas, each on its subject, and not the sender") {
  testing::NatsServer nats;
  Replica one(nats.url());
  Replica two(nats.url());
  one.SendUntilHeard(kJobQueueHint, two.jobs);
  two.SendUntilHeard(kRightsHint, one.rights);
  one.SendUntilHeard(kRightsHint, two.rights);
  CHECK(one.jobs.count() == 0);

  SECTION("also after the server went away and came back") {
    nats.Kill();
    one.hints.Send(kRightsHint);
    nats.Restart();
    one.SendUntilHeard(kRightsHint, two.rights);
  }
}

TEST_CASE("without NATS a hint goes nowhere and harms nobody") {
  Replica alone("");
  alone.hints.Send(kRightsHint);
  CHECK(alone.rights.count() == 0);
}

TEST_CASE("a call that changed rights tells so, others do not") {
  Counter told;
  ApiServer server(
      {WireIdentity, [&](Wiring& w) { w->gate.OnRightsChanged([&told] { told.Add(); }); }});
  const auto organization = server.AddOrganization("default");
  const auto owner =
      server.AddUser("owner", {auth::SiteRole::kOwner}, {{.organization_id = organization}});
  server.AddUser("dev");
  const std::string token = server.AddSession(owner);
  const auto users = v1::UserService::NewStub(server.channel());

  v1::GetUserRequest get;
  get.set_user("dev");
  REQUIRE_THAT(
      Call<v1::GetUserResponse>(token, get, [&](auto... a) { return users->GetUser(a...); }),
      IsOk());
  v1::SetUserRolesRequest roles;
  roles.set_user("nobody-there");
  const auto set_roles = [&](auto... a) { return users->SetUserRoles(a...); };
  CHECK_FALSE(Call<v1::SetUserRolesResponse>(token, roles, set_roles).ok());
  CHECK(told.count() == 0);

  roles.set_user("dev");
  roles.add_roles("auditor");
  REQUIRE_THAT(Call<v1::SetUserRolesResponse>(token, roles, set_roles), IsOk());
  CHECK(told.count() == 1);
}

}  // namespace
}  // namespace coder::api
