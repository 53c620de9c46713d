#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <vector>

#include "libs/storage/migrations/embedded_migrations.h"
#include "libs/storage/postgres/migrator.h"
#include "libs/testing/matchers.h"
#include "libs/testing/postgres_server.h"

namespace coder::storage {
namespace {

using clock::Deadline;
using ::coder::testing::IsOk;
using ::coder::testing::PostgresServer;

Deadline Ample() { return Deadline::After(absl::Minutes(1)); }

// One row for every table that a migration makes, by the migration's version: what a deployment
// that stopped there may hold.
const std::map<int, std::string>& RowsOfVersion() {
  static const auto* const rows = new std::map<int, std::string>{
      {1, R"sql(
INSERT INTO organizations (id, name, is_default) VALUES ('00000000-0000-0000-0000-0000000000a1', 'default', true);
INSERT INTO users (id, email, username) VALUES ('00000000-0000-0000-0000-0000000000b1', 'a@example.com', 'alice');
INSERT INTO first_user (user_id) VALUES ('00000000-0000-0000-0000-0000000000b1');
INSERT INTO organization_members (organization_id, user_id)
  VALUES ('00000000-0000-0000-0000-0000000000a1', '00000000-0000-0000-0000-0000000000b1');
INSERT INTO api_keys (id, hashed_secret, user_id, kind, lifetime, expires_at)
  VALUES ('0123456789', sha256('x'), '00000000-0000-0000-0000-0000000000b1', 'session', '1 day', now() + interval '1 day');
INSERT INTO provisioner_keys (id, organization_id, name, hashed_secret, created_by)
  VALUES ('00000000-0000-0000-0000-0000000000c1', '00000000-0000-0000-0000-0000000000a1', 'key', sha256('y'),
          '00000000-0000-0000-0000-0000000000b1');
INSERT INTO idempotent_requests (caller, method, request_id, request_hash, response)
  VALUES ('alice', 'Create', gen_random_uuid(), sha256('z'), 'answer');)sql"},
      {2, R"sql(
INSERT INTO files (id, sha256, created_by, media_type, data)
  VALUES ('00000000-0000-0000-0000-0000000000d1', sha256('tar'), '00000000-0000-0000-0000-0000000000b1', 'application/x-tar', 'tar');
INSERT INTO provisioner_daemons (id, organization_id, key_id, name, provisioners, tags, slots)
  VALUES ('00000000-0000-0000-0000-0000000000e1', '00000000-0000-0000-0000-0000000000a1',
          '00000000-0000-0000-0000-0000000000c1', 'one', '{terraform}', '{}', 2);
INSERT INTO provisioner_jobs (id, organization_id, initiator_id, type, provisioner, file_id, tags, queue_at, started_at,
    lease_token, lease_expires_at, completed_at)
  VALUES ('00000000-0000-0000-0000-0000000000f1', '00000000-0000-0000-0000-0000000000a1', '00000000-0000-0000-0000-0000000000b1',
          'template_version_import', 'terraform', '00000000-0000-0000-0000-0000000000d1', '{}', now(), now(),
          gen_random_uuid(), now(), now());
INSERT INTO provisioner_job_logs (job_id, created_at, source, level, stage, output)
  VALUES ('00000000-0000-0000-0000-0000000000f1', now(), 'provisioner', 'info', 'Planning', 'a line');
INSERT INTO provisioner_job_timings (job_id, stage, started_at, ended_at)
  VALUES ('00000000-0000-0000-0000-0000000000f1', 'plan', now(), now());
INSERT INTO template_versions (id, organization_id, name, job_id, created_by)
  VALUES ('00000000-0000-0000-0000-000000000011', '00000000-0000-0000-0000-0000000000a1', 'v1',
          '00000000-0000-0000-0000-0000000000f1', '00000000-0000-0000-0000-0000000000b1');
INSERT INTO templates (id, organization_id, name, provisioner, active_version_id, created_by)
  VALUES ('00000000-0000-0000-0000-000000000021', '00000000-0000-0000-0000-0000000000a1', 'hello', 'terraform',
          '00000000-0000-0000-0000-000000000011', '00000000-0000-0000-0000-0000000000b1');
UPDATE template_versions SET template_id = '00000000-0000-0000-0000-000000000021';
INSERT INTO template_version_parameters (template_version_id, name, type, mutable, required)
  VALUES ('00000000-0000-0000-0000-000000000011', 'size', 'string', true, false);
INSERT INTO template_version_variables (template_version_id, name)
  VALUES ('00000000-0000-0000-0000-000000000011', 'region');)sql"},
      {3, R"sql(
INSERT INTO workspaces (id, owner_id, organization_id, template_id, name)
  VALUES ('00000000-0000-0000-0000-000000000031', '00000000-0000-0000-0000-0000000000b1',
          '00000000-0000-0000-0000-0000000000a1', '00000000-0000-0000-0000-000000000021', 'dev');
INSERT INTO provisioner_jobs (id, organization_id, initiator_id, type, provisioner, file_id, tags, queue_at)
  VALUES ('00000000-0000-0000-0000-0000000000f2', '00000000-0000-0000-0000-0000000000a1', '00000000-0000-0000-0000-0000000000b1',
          'workspace_build', 'terraform', '00000000-0000-0000-0000-0000000000d1', '{}', now());
INSERT INTO workspace_builds (id, workspace_id, build_number, template_version_id, transition, reason, initiator_id, job_id)
  VALUES ('00000000-0000-0000-0000-000000000041', '00000000-0000-0000-0000-000000000031', 1,
          '00000000-0000-0000-0000-000000000011', 'start', 'initiator', '00000000-0000-0000-0000-0000000000b1',
          '00000000-0000-0000-0000-0000000000f2');
UPDATE workspaces SET latest_build_id = '00000000-0000-0000-0000-000000000041';
INSERT INTO workspace_build_parameters (build_id, name, value)
  VALUES ('00000000-0000-0000-0000-000000000041', 'size', 'small');
INSERT INTO workspace_resources (id, job_id, transition, type, name)
  VALUES ('00000000-0000-0000-0000-000000000051', '00000000-0000-0000-0000-0000000000f2', 'start', 'terraform_data', 'machine');
INSERT INTO workspace_agents (id, resource_id, name, operating_system, architecture)
  VALUES ('00000000-0000-0000-0000-000000000061', '00000000-0000-0000-0000-000000000051', 'main', 'linux', 'amd64');
INSERT INTO workspace_apps (agent_id, slug) VALUES ('00000000-0000-0000-0000-000000000061', 'docs');
INSERT INTO lifecycle_outcomes (workspace_id, kind, nominal_at, outcome)
  VALUES ('00000000-0000-0000-0000-000000000031', 'autostart', now(), 'applied');)sql"},
      {4, R"sql(
INSERT INTO outbox (workspace_id, workspace_version, payload) VALUES (gen_random_uuid(), 1, 'event');
INSERT INTO build_event_packs (first_position, last_position, epoch, last_event_id, payload, committed_at)
  VALUES (1, 2, 1, 2, 'pack', now());)sql"},
      {5, ""},
      {6, ""},
      {7, R"sql(
INSERT INTO autostart_blackouts (id, organization_id, first_day, last_day, created_by)
  VALUES ('00000000-0000-0000-0000-000000000071', '00000000-0000-0000-0000-0000000000a1', '2026-12-24', '2026-12-26',
          '00000000-0000-0000-0000-0000000000b1');)sql"},
      {8,
       "INSERT INTO outbox (workspace_id, workspace_version, payload) VALUES (gen_random_uuid(), "
       "2, 'event');"},
      {9, ""},
      {10, R"sql(
INSERT INTO audit_logs (id, actor, actor_name, token_id, address, user_agent, request_id, method, action, resource_type,
    resource_id, resource_name, outcome, status_code, reason, details)
  VALUES ('00000000-0000-0000-0000-000000000081', 'anonymous', '', '', '10.0.0.1', 'test', 'r1',
          '/coder.api.v1.AuthService/Login', 'login', 'user', '', '', 'denied', 'UNAUTHENTICATED', 'BAD_CREDENTIALS', '{}');)sql"},
  };
  return *rows;
}

struct Database {
  std::string conninfo =
      PostgresServer::Shared().Conninfo(PostgresServer::Shared().CreateDatabase());
  pg::Pool pool{{.connect = {.conninfo = conninfo}}};

  void Fill(int version) {
    const std::string& rows = RowsOfVersion().at(version);
    if (rows.empty()) return;
    auto connection = pg::Connection::Open({.conninfo = conninfo});
    REQUIRE_THAT(connection, IsOk());
    REQUIRE_THAT((*connection)->ExecuteScript(rows, Ample()), IsOk());
  }

  // Tables with their number of rows; partitions count with their parent.
  std::map<std::string, int64_t> Counts() {
    std::map<std::string, int64_t> counts;
    const auto tables = pool.Execute(
        "SELECT c.relname::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = "
        "c.relnamespace "
        "WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition "
        "AND c.relname <> 'schema_migrations'",
        {}, Ample());
    REQUIRE_THAT(tables, IsOk());
    for (const auto row : *tables) {
      const auto name = row.Get<std::string>("name");
      counts[name] =
          pool.Execute("SELECT count(*) FROM " + name, {}, Ample()).value().Get<int64_t>(0, 0);
    }
    return counts;
  }
};

std::vector<Migration> UpTo(int version) {
  std::vector<Migration> steps;
  for (const Migration& step : EmbeddedMigrations()) {
    if (step.version <= version) steps.push_back(step);
  }
  return steps;
}

TEST_CASE("every step runs on a database that was in use at the step before") {
  Database database;
  std::map<std::string, int64_t> before;
  for (const Migration& step : EmbeddedMigrations()) {
    INFO("migration " << step.version << " " << step.name);
    REQUIRE_THAT(Migrate(database.conninfo, Ample(), UpTo(step.version)), IsOk());
    for (const auto& [table, rows] : before) {
      INFO(table);
      CHECK(database.Counts()[table] >= rows);
    }
    REQUIRE(RowsOfVersion().count(step.version) == 1);
    database.Fill(step.version);
    before = database.Counts();
    for (const auto& [table, rows] : before) {
      INFO("table " << table << " has no row here: a later step is not tested on it");
      CHECK(rows > 0);
    }
  }
}

}  // namespace
}  // namespace coder::storage
