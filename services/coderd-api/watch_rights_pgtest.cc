#include <array>
#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "libs/clock/fake_clock.h"
#include "services/coderd-api/watch_service_fixture.h"

namespace coder::api {
namespace {

using Fixture = WatchServiceFixture;

constexpr int kSubjects = 8;
constexpr int kRounds = 125;
// Of the fake time that flows meanwhile, a few minutes for each second.
constexpr absl::Duration kTestLimit = absl::Hours(12);
constexpr size_t kOrganizations = 2;

// What a user is in one organization; `role` counts for members only.
struct Place {
  bool member = false;
  std::string role;
};

// A user, what it may see by the rules of watch.proto, and its open watch.
struct Subject {
  lifecycle::UserId id;
  auth::NewApiKey key;
  std::string site_role;
  std::array<Place, kOrganizations> places;
  // Why the watch has to end; empty: it goes on.
  std::string ends;
  std::unique_ptr<Watch> watch;

  bool Sees(const lifecycle::UserId& owner, size_t organization) const {
    const Place& place = places[organization];
    return site_role == "owner" || site_role == "template-admin" ||
           (place.member && (!place.role.empty() || owner == id));
  }
};

struct Target {
  lifecycle::BuildId build;
  std::string workspace;
  lifecycle::UserId owner;
  size_t organization = 0;
};

// Users whose rights change at random while they watch, on time that flows fast.
class Crowd {
 public:
  explicit Crowd(uint32_t seed) : random_(seed), f_(true, {}, &clock_) {
    f_.parts.max_age = absl::Hours(1000);
    f_.parts.write_limit = absl::Hours(1000);
    organizations_ = {f_.world.organization.ToString(),
                      f_.world.NewId<lifecycle::OrganizationId>().ToString()};
    f_.world.Run("INSERT INTO organizations (id, name) VALUES ($1, 'other')", {organizations_[1]});
    for (int i = 0; i < kSubjects; ++i) AddSubject("user-" + std::to_string(i));
    for (const Subject& subject : subjects_) AddTarget(subject.id, 0);
    AddTarget(f_.world.owner, 1);
    AddTarget(subjects_[0].id, 1);
    time_ = std::jthread([this](std::stop_token stop) {
      while (f_.real_clock.Wait(absl::Milliseconds(5), stop))
        clock_.Advance(absl::Milliseconds(100));
    });
    for (Subject& subject : subjects_) Open(subject, {});
  }

  // Changes every user's rights once, lets 5 s pass, and looks at what comes of events after that.
  void Round() {
    for (Subject& subject : subjects_) Change(subject);
    clock_.Advance(absl::Seconds(5));
    for (const Target& target : targets_) f_.WriteEvent(target.build);
    head_ += static_cast<int64_t>(targets_.size());
    f_.Reach(head_);
    for (Subject& subject : subjects_) {
      if (!subject.ends.empty()) {
        const std::string token = subject.watch->token;
        REQUIRE(subject.watch->Ending() == std::exchange(subject.ends, ""));
        CHECK(subject.watch->events.empty());
        Restore(subject);
        Open(subject, token);
      }
      ExpectPermitted(subject);
    }
  }

 private:
  void AddSubject(const std::string& name) {
    Subject subject{.id = f_.world.AddUser(name), .key = auth::GenerateApiKey()};
    subject.places[0].member = true;
    f_.world.identities.AddSession(subject.key, subject.id);
    subjects_.push_back(std::move(subject));
  }

  void AddTarget(const lifecycle::UserId& owner, size_t organization) {
    const auto workspace = f_.world.AddWorkspace("ws-" + std::to_string(targets_.size()), owner);
    f_.world.Run("UPDATE workspaces SET organization_id = $1 WHERE id = $2",
                 {organizations_[organization], workspace.ToString()});
    targets_.push_back({f_.world.AddBuild(workspace), workspace.ToString(), owner, organization});
  }

  void Open(Subject& subject, const std::string& token) {
    v1::WatchAllWorkspaceBuildsRequest request = From(token);
    request.mutable_bookmark_interval()->set_seconds(1);
    subject.watch = std::make_unique<Watch>(f_, subject.key, request, kTestLimit);
    const bool opened = subject.watch->Next();
    INFO((opened ? "" : subject.watch->Ending() + ": " + subject.watch->status.error_message()));
    REQUIRE(opened);
  }

  // Reads until everything up to the head was examined.
  void ExpectPermitted(Subject& subject) {
    Watch& watch = *subject.watch;
    while (events::DecodeResumeToken(watch.token)->position < head_) REQUIRE(watch.Next());
    std::vector<std::string> seen;
    for (const auto& watched : watch.events) seen.push_back(watched.event().workspace_id());
    std::vector<std::string> permitted;
    for (const Target& target : targets_) {
      if (subject.Sees(target.owner, target.organization)) permitted.push_back(target.workspace);
    }
    CHECK(seen == permitted);
    watch.events.clear();
  }

  void Change(Subject& subject) {
    const size_t organization = Pick(kOrganizations);
    Place& place = subject.places[organization];
    switch (Pick(7)) {
      case 0:
      case 1:
        subject.site_role =
            std::array<std::string, 4>{"", "owner", "template-admin", "auditor"}[Pick(4)];
        return Touch(subject,
                     "UPDATE users SET site_roles = array_remove(ARRAY[$2::text], '') "
                     "WHERE id = $1",
                     {subject.site_role});
      case 2:
        place.role = std::array<std::string, 3>{"", "admin", "template-admin"}[Pick(3)];
        return Touch(subject,
                     "UPDATE organization_members SET roles = array_remove(ARRAY[$3::text], "
                     "'') WHERE user_id = $1 AND organization_id = $2",
                     {organizations_[organization], place.role});
      case 3:
        place = {.member = !place.member};
        return Touch(subject,
                     place.member ? "INSERT INTO organization_members (user_id, "
                                    "organization_id) VALUES ($1, $2)"
                                  : "DELETE FROM organization_members WHERE user_id = $1 "
                                    "AND organization_id = $2",
                     {organizations_[organization]});
      case 4:
        subject.ends = "USER_SUSPENDED";
        return Touch(subject, "UPDATE users SET status = 'suspended' WHERE id = $1", {});
      case 5:
        subject.ends = "TOKEN_REVOKED";
        return ChangeKey(subject, "UPDATE api_keys SET revoked_at = now() WHERE id = $1");
      default:
        // Nobody writes anything when a token expires.
        subject.ends = "TOKEN_EXPIRED";
        f_.world.Run("UPDATE api_keys SET expires_at = to_timestamp($2) WHERE id = $1",
                     {subject.key.id, absl::ToUnixSeconds(clock_.Now()) + 2});
    }
  }

  // Lets a user whose watch ended come back, with a new log-in.
  void Restore(Subject& subject) {
    Touch(subject, "UPDATE users SET status = 'active' WHERE id = $1", {});
    subject.key = auth::GenerateApiKey();
    f_.world.identities.AddSession(subject.key, subject.id);
  }

  // A change as the stores make it: the rights and their version together.
  void Touch(const Subject& subject, const std::string& sql, std::vector<pg::Param> more) {
    more.insert(more.begin(), subject.id.ToString());
    f_.world.Run(sql, std::move(more));
    f_.world.Run("UPDATE users SET access_version = access_version + 1 WHERE id = $1",
                 {subject.id.ToString()});
  }
  void ChangeKey(const Subject& subject, const std::string& sql) {
    f_.world.Run(sql, {subject.key.id});
  }

  size_t Pick(size_t choices) {
    return std::uniform_int_distribution<size_t>(0, choices - 1)(random_);
  }

  std::mt19937 random_;
  clock::FakeClock clock_{absl::FromUnixSeconds(absl::ToUnixSeconds(clock::SystemClock().Now()))};
  Fixture f_;
  std::array<std::string, kOrganizations> organizations_;
  std::vector<Subject> subjects_;
  std::vector<Target> targets_;
  int64_t head_ = 0;
  std::jthread time_;
};

// Verify that no event committed 5 s after a change of rights is sent outside the new ones, and
// that none inside them is lost, when nobody wakes the check but its timer.
TEST_CASE("events keep to the rights over a thousand random changes") {
  constexpr uint32_t seed = 20260301;
  Crowd crowd(seed);
  for (int round = 0; round < kRounds; ++round) {
    INFO("round " << round);
    crowd.Round();
  }
}

}  // namespace
}  // namespace coder::api
