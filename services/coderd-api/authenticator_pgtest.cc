#include <catch2/catch.hpp>

#include "libs/clock/fake_clock.h"
#include "libs/status/error_reason.h"
#include "libs/testing/matchers.h"
#include "services/coderd-api/authenticator.h"
#include "services/coderd-api/testing/api_server.h"

namespace coder::api {
namespace {

using auth::CallerPtr;
using ::coder::testing::IsOk;

clock::Deadline Ample() { return clock::Deadline::After(absl::Minutes(1)); }

// Two users and a daemon on a real database, and an authenticator whose clock stands still.
struct Fixture {
  Fixture() {
    organization = server.AddOrganization("default");
    ada = server.AddUser("ada", {}, {{organization, {}}});
    bob = server.AddUser("bob", {auth::SiteRole::kOwner}, {{organization, {}}});
    ada_token = server.AddSession(ada, absl::Hours(24 * 365 * 30));
    bob_token = server.AddSession(bob, absl::Hours(24 * 365 * 30));
    daemon_token = server.AddProvisionerKey(organization, bob);
  }

  absl::StatusOr<CallerPtr> Authenticate(const std::string& token) {
    return authenticator.Authenticate("Bearer " + token, Ample());
  }

  static std::string Reason(const absl::StatusOr<CallerPtr>& caller) {
    const auto reason = status::ReasonOf(caller.status());
    return reason ? reason->reason : "";
  }

  ApiServer server{{}};
  clock::FakeClock clock;
  storage::PgCredentialStore store{server.database().pool()};
  Authenticator authenticator{store, clock, server::Secret(server.service_token())};
  lifecycle::OrganizationId organization;
  lifecycle::UserId ada;
  lifecycle::UserId bob;
  std::string ada_token;
  std::string bob_token;
  std::string daemon_token;
};

TEST_CASE("what is known of a token is used for two seconds and no longer") {
  Fixture f;
  const auto first = f.Authenticate(f.ada_token);
  REQUIRE_THAT(first, IsOk());
  f.server.Run("UPDATE api_keys SET revoked_at = now()");
  f.clock.Advance(kMaxCallerAge - absl::Nanoseconds(1));
  const auto remembered = f.Authenticate(f.ada_token);
  REQUIRE_THAT(remembered, IsOk());
  CHECK(*remembered == *first);
  f.clock.Advance(absl::Nanoseconds(1));
  CHECK(Fixture::Reason(f.Authenticate(f.ada_token)) == "TOKEN_REVOKED");
}

TEST_CASE("a forgotten caller is asked for at once") {
  Fixture f;
  const auto caller = f.Authenticate(f.ada_token);
  REQUIRE_THAT(caller, IsOk());
  f.server.Run("UPDATE users SET status = 'suspended' WHERE id = $1", {f.ada.ToString()});
  f.authenticator.Forget(**caller);
  CHECK(Fixture::Reason(f.Authenticate(f.ada_token)) == "USER_SUSPENDED");
}

TEST_CASE("a refresh narrows, ends and leaves alone, each caller by its own rights") {
  Fixture f;
  const std::vector<CallerPtr> callers = {
      *f.Authenticate(f.ada_token), *f.Authenticate(f.bob_token), *f.Authenticate(f.daemon_token),
      *f.Authenticate(f.server.service_token())};
  const auto same = f.authenticator.Refresh(callers, Ample());
  REQUIRE_THAT(same, IsOk());
  for (size_t i = 0; i < callers.size(); ++i) {
    REQUIRE_THAT((*same)[i], IsOk());
    CHECK((*(*same)[i])->access_version == callers[i]->access_version);
  }

  f.server.Run("UPDATE api_keys SET revoked_at = now() WHERE user_id = $1", {f.ada.ToString()});
  f.server.Run(
      "UPDATE users SET site_roles = '{}', access_version = access_version + 1 WHERE id = $1",
      {f.bob.ToString()});
  f.server.Run("UPDATE provisioner_keys SET revoked_at = now()");
  const auto changed = f.authenticator.Refresh(callers, Ample());
  REQUIRE_THAT(changed, IsOk());
  CHECK(Fixture::Reason((*changed)[0]) == "TOKEN_REVOKED");
  REQUIRE_THAT((*changed)[1], IsOk());
  CHECK_FALSE((*(*changed)[1])->site_roles.Has(auth::SiteRole::kOwner));
  CHECK(Fixture::Reason((*changed)[2]) == "TOKEN_REVOKED");
  CHECK_THAT((*changed)[3], IsOk());
  // What a refresh found out is what the next call gets.
  CHECK(*f.Authenticate(f.bob_token) == *(*changed)[1]);
  CHECK(Fixture::Reason(f.Authenticate(f.ada_token)) == "TOKEN_REVOKED");
}

TEST_CASE("a refresh of nobody asks nothing") {
  Fixture f;
  const auto none = f.authenticator.Refresh({}, clock::Deadline::After(absl::ZeroDuration()));
  REQUIRE_THAT(none, IsOk());
  CHECK(none->empty());
}

TEST_CASE("the memberships of a caller are those of living organizations, with their roles") {
  Fixture f;
  const auto other = f.server.AddOrganization("other");
  f.server.Run("INSERT INTO organization_members VALUES ($1, $2, '{admin,template-admin}')",
               {other.ToString(), f.ada.ToString()});
  auto caller = f.Authenticate(f.ada_token);
  REQUIRE_THAT(caller, IsOk());
  CHECK((*caller)->memberships.size() == 2);
  CHECK((*caller)->MembershipIn(other)->roles.Has(auth::OrganizationRole::kAdmin));
  f.server.Run("UPDATE organizations SET deleted_at = now() WHERE id = $1", {other.ToString()});
  f.authenticator.Forget(**caller);
  caller = f.Authenticate(f.ada_token);
  REQUIRE_THAT(caller, IsOk());
  CHECK((*caller)->MembershipIn(other) == nullptr);
}

TEST_CASE("the use of a token is noted, a session extended and a dormant account woken") {
  Fixture f;
  f.server.Run("UPDATE users SET status = 'dormant'");
  f.server.Run("UPDATE api_keys SET lifetime = '1 hour', expires_at = now() + '1 minute'");
  REQUIRE_THAT(f.Authenticate(f.ada_token), IsOk());
  const auto row = f.server.Run(
      "SELECT k.last_used_at IS NOT NULL, k.expires_at > now() + interval '50 minutes', u.status, "
      "u.last_seen_at IS NOT NULL FROM api_keys k JOIN users u ON u.id = k.user_id WHERE u.id = $1",
      {f.ada.ToString()});
  CHECK(row.Get<bool>(0, 0));
  CHECK(row.Get<bool>(0, 1));
  CHECK(row.Get<std::string>(0, 2) == "active");
  CHECK(row.Get<bool>(0, 3));
}

}  // namespace
}  // namespace coder::api
