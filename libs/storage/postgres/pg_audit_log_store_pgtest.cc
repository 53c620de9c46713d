#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "libs/ids/uuid.h"
#include "libs/storage/postgres/pg_audit_log_store.h"
#include "libs/storage/postgres/testing/migrated_database.h"
#include "libs/testing/matchers.h"

namespace coder::storage {
namespace {

using ::coder::testing::IsOk;
using ::coder::testing::StatusIs;

clock::Deadline Soon() { return clock::Deadline::After(absl::Seconds(20)); }

struct Fixture {
  MigratedDatabase database;
  pg::Pool pool{{.connect = {.conninfo = database.conninfo("coder_api")}}};
  PgAuditLogStore store{pool};
  ids::UuidV7Generator ids{[] { return absl::UnixEpoch(); }, ids::SystemRandom()};
  const lifecycle::OrganizationId ours{ids.Next()};
  const lifecycle::OrganizationId theirs{ids.Next()};
  const lifecycle::UserId ada{ids.Next()};

  AuditRecord Record(const std::string& name) {
    AuditRecord record;
    record.id = ids.Next();
    record.organization = ours;
    record.actor_user = ada;
    record.actor = "user:" + ada.ToString();
    record.actor_name = "ada";
    record.token_id = "0123456789";
    record.address = "ipv4:10.0.0.1";
    record.user_agent = "coderctl/1";
    record.request_id = "request";
    record.method = "/coder.api.v1.WorkspaceService/CreateWorkspace";
    record.action = AuditAction::kCreate;
    record.resource_type = "workspace";
    record.resource_id = ids.Next().ToString();
    record.resource_name = name;
    record.outcome = AuditOutcome::kFailed;
    record.status_code = "NOT_FOUND";
    record.reason = "TEMPLATE_GONE";
    record.details = {{"a", "b"}};
    return record;
  }

  AuditRecord Add(AuditRecord record) {
    REQUIRE_THAT(store.Append(record, Soon()), IsOk());
    return record;
  }

  // Names, the newest first.
  std::vector<std::string> Names(const AuditFilter& filter) {
    const auto records = store.List(filter, std::nullopt, 100, Soon());
    REQUIRE_THAT(records, IsOk());
    std::vector<std::string> names;
    for (const AuditRecord& record : *records) names.push_back(record.resource_name);
    return names;
  }

  void Age(const std::string& name, const std::string& age) {
    REQUIRE_THAT(database.pool().Execute("UPDATE audit_logs SET recorded_at = now() - '" + age +
                                             "'::interval WHERE resource_name = $1",
                                         {name}, Soon()),
                 IsOk());
  }
};

using Names = std::vector<std::string>;

TEST_CASE("a record comes back as it was kept") {
  Fixture f;
  const AuditRecord kept = f.Add(f.Record("dev"));
  const auto records = f.store.List({}, std::nullopt, 10, Soon());
  REQUIRE_THAT(records, IsOk());
  REQUIRE(records->size() == 1);
  const AuditRecord& got = records->front();
  CHECK(got.id == kept.id);
  CHECK(got.time > absl::UnixEpoch());
  CHECK(got.organization == kept.organization);
  CHECK(got.actor_user == kept.actor_user);
  CHECK(got.actor == kept.actor);
  CHECK(got.actor_name == "ada");
  CHECK(got.token_id == "0123456789");
  CHECK(got.address == "ipv4:10.0.0.1");
  CHECK(got.user_agent == "coderctl/1");
  CHECK(got.request_id == "request");
  CHECK(got.method == kept.method);
  CHECK(got.action == AuditAction::kCreate);
  CHECK(got.resource_type == "workspace");
  CHECK(got.resource_id == kept.resource_id);
  CHECK(got.outcome == AuditOutcome::kFailed);
  CHECK(got.status_code == "NOT_FOUND");
  CHECK(got.reason == "TEMPLATE_GONE");
  CHECK(got.details == kept.details);
}

TEST_CASE("a list is narrowed by each of its fields, the newest first") {
  Fixture f;
  f.Add(f.Record("first"));
  AuditRecord other = f.Record("second");
  other.organization = f.theirs;
  other.actor_user = std::nullopt;
  other.actor_name = "Grace";
  other.resource_type = "template";
  other.method = "/x/Y";
  other.action = AuditAction::kLogout;
  other.outcome = AuditOutcome::kDenied;
  f.Add(other);
  AuditRecord nowhere = f.Record("third");
  nowhere.organization = std::nullopt;
  f.Add(nowhere);
  f.Age("first", "3 hours");
  f.Age("second", "2 hours");
  CHECK(f.Names({}) == Names{"third", "second", "first"});
  CHECK(f.Names({.organizations = {{f.ours, f.theirs}}}) == Names{"second", "first"});
  CHECK(f.Names({.organizations = std::vector<lifecycle::OrganizationId>()}).empty());
  CHECK(f.Names({.actor = f.ada.ToString()}) == Names{"third", "first"});
  CHECK(f.Names({.actor = "grace"}) == Names{"second"});
  CHECK(f.Names({.resource_type = "template"}) == Names{"second"});
  CHECK(f.Names({.resource = other.resource_id}) == Names{"second"});
  CHECK(f.Names({.resource = "FIRST"}) == Names{"first"});
  CHECK(f.Names({.method = "/x/Y"}) == Names{"second"});
  CHECK(f.Names({.action = AuditAction::kLogout}) == Names{"second"});
  CHECK(f.Names({.outcome = AuditOutcome::kFailed}) == Names{"third", "first"});
  const absl::Time newest = f.store.List({}, std::nullopt, 1, Soon())->front().time;
  CHECK(f.Names({.since = newest}) == Names{"third"});
  CHECK(f.Names({.until = newest}) == Names{"second", "first"});
}

TEST_CASE("pages follow each other without gap or repetition, whatever is added meanwhile") {
  Fixture f;
  for (int i = 0; i < 7; ++i) f.Add(f.Record(std::to_string(i)));
  // Records of one moment are told apart by their ids.
  REQUIRE_THAT(f.database.pool().Execute("UPDATE audit_logs SET recorded_at = now()", {}, Soon()),
               IsOk());
  Names seen;
  std::optional<AuditPageKey> before;
  while (true) {
    const auto page = f.store.List({}, before, 3, Soon());
    REQUIRE_THAT(page, IsOk());
    for (const AuditRecord& record : *page) seen.push_back(record.resource_name);
    if (page->size() < 3) break;
    before = AuditPageKey{page->back().time, page->back().id};
    f.Add(f.Record("later"));
  }
  CHECK(seen == Names{"6", "5", "4", "3", "2", "1", "0"});
}

TEST_CASE("records go when their time is over, the oldest first and boundedly") {
  Fixture f;
  for (const char* name : {"old", "older", "oldest", "young"}) f.Add(f.Record(name));
  f.Age("old", "91 days");
  f.Age("older", "92 days");
  f.Age("oldest", "93 days");
  f.Age("young", "89 days");
  const absl::Duration retention = absl::Hours(90 * 24);
  CHECK(f.store.DropOlderThan(retention, 2, Soon()).value() == 2);
  CHECK(f.Names({}) == Names{"young", "old"});
  CHECK(f.store.DropOlderThan(retention, 2, Soon()).value() == 1);
  CHECK(f.store.DropOlderThan(retention, 2, Soon()).value() == 0);
  CHECK(f.Names({}) == Names{"young"});
}

TEST_CASE("the service may not change a record") {
  Fixture f;
  f.Add(f.Record("dev"));
  CHECK_THAT(f.pool.Execute("UPDATE audit_logs SET outcome = 'allowed'", {}, Soon()),
             StatusIs(absl::StatusCode::kPermissionDenied));
}

}  // namespace
}  // namespace coder::storage
