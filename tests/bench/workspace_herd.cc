// The baseline's side of a herd: every workspace that is due gets its build in a transaction of its
// own, of sixteen statements as Coder's executor runs them, from several sessions.
//
//   workspace_herd --workers=N
//
// CODER_POSTGRES_URL, of the schema's owner, says where. Prints the number of builds and the
// seconds they took.

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "libs/clock/deadline.h"
#include "libs/clock/system_clock.h"
#include "libs/pg/connection.h"
#include "libs/status/status_macros.h"
#include "tests/bench/arguments.h"

namespace coder::bench {
namespace {

constexpr absl::Duration kLimit = absl::Seconds(60);

// $1 is the workspace. What a statement reads is not needed by the next: the executor's decisions
// cost nothing here.
constexpr const char* kStatements[] = {
    "BEGIN ISOLATION LEVEL REPEATABLE READ",
    "SELECT pg_try_advisory_xact_lock(hashtextextended($1::text, 0))",
    "SELECT * FROM workspaces WHERE id = $1::uuid",
    "SELECT u.* FROM users u JOIN workspaces w ON w.owner_id = u.id WHERE w.id = $1::uuid",
    "SELECT b.* FROM workspace_builds b JOIN workspaces w ON w.latest_build_id = b.id "
    "WHERE w.id = $1::uuid",
    "SELECT j.* FROM provisioner_jobs j JOIN workspace_builds b ON b.job_id = j.id "
    "JOIN workspaces w ON w.latest_build_id = b.id WHERE w.id = $1::uuid",
    "SELECT t.* FROM templates t JOIN workspaces w ON w.template_id = t.id WHERE w.id = $1::uuid",
    "SELECT v.* FROM template_versions v JOIN templates t ON t.active_version_id = v.id "
    "JOIN workspaces w ON w.template_id = t.id WHERE w.id = $1::uuid",
    "SELECT p.* FROM template_version_parameters p JOIN templates t "
    "ON t.active_version_id = p.template_version_id "
    "JOIN workspaces w ON w.template_id = t.id WHERE w.id = $1::uuid",
    "SELECT p.* FROM workspace_build_parameters p JOIN workspaces w ON w.latest_build_id = "
    "p.build_id WHERE w.id = $1::uuid",
    "SELECT d.* FROM provisioner_daemons d JOIN workspaces w ON w.organization_id = "
    "d.organization_id WHERE w.id = $1::uuid",
    "INSERT INTO provisioner_jobs (id, organization_id, initiator_id, type, provisioner, file_id, "
    "tags, queue_at) SELECT gen_random_uuid(), w.organization_id, w.owner_id, 'workspace_build', "
    "i.provisioner, i.file_id, i.tags, now() FROM workspaces w JOIN templates t "
    "ON t.id = w.template_id JOIN template_versions v ON v.id = t.active_version_id "
    "JOIN provisioner_jobs i ON i.id = v.job_id WHERE w.id = $1::uuid RETURNING id",
    "INSERT INTO workspace_builds (id, workspace_id, build_number, template_version_id, "
    "transition, reason, initiator_id, job_id) SELECT gen_random_uuid(), w.id, 2, "
    "t.active_version_id, 'start', 'autostart', w.owner_id, $2::uuid FROM workspaces w "
    "JOIN templates t ON t.id = w.template_id WHERE w.id = $1::uuid RETURNING id",
    "UPDATE workspaces SET latest_build_id = $2::uuid, updated_at = now() WHERE id = $1::uuid",
    "UPDATE workspaces SET next_start_at = now() + interval '1 day' WHERE id = $1::uuid",
    "COMMIT",
};

absl::Status BuildOne(pg::Connection& database, const std::string& workspace) {
  std::string made;
  for (const char* statement : kStatements) {
    const std::string_view text(statement);
    std::vector<pg::Param> params;
    if (text.find("$1") != std::string_view::npos) params.emplace_back(workspace);
    if (text.find("$2") != std::string_view::npos) params.emplace_back(made);
    ASSIGN_OR_RETURN(const pg::Result result,
                     database.Execute(statement, params, clock::Deadline::After(kLimit)));
    if (text.find("RETURNING") != std::string_view::npos) made = result.Get<std::string>(0, 0);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<pg::Connection>> Connect() {
  return pg::Connection::Open({.conninfo = std::getenv("CODER_POSTGRES_URL"),
                               .application_name = "workspace_herd",
                               .lock_timeout = kLimit});
}

absl::StatusOr<std::vector<std::string>> DueWorkspaces() {
  ASSIGN_OR_RETURN(const auto database, Connect());
  ASSIGN_OR_RETURN(const pg::Result rows,
                   database->Execute("SELECT id FROM workspaces WHERE next_start_at <= now()", {},
                                     clock::Deadline::After(kLimit)));
  std::vector<std::string> ids;
  for (const pg::Result::Row row : rows) ids.push_back(row.Get<std::string>("id"));
  return ids;
}

absl::Status Work(const std::vector<std::string>& workspaces, std::atomic<size_t>& next) {
  ASSIGN_OR_RETURN(const auto database, Connect());
  for (size_t i = next++; i < workspaces.size(); i = next++) {
    RETURN_IF_ERROR(BuildOne(*database, workspaces[i]));
  }
  return absl::OkStatus();
}

int Run(const Arguments& arguments) {
  const clock::SystemClock clock;
  const absl::Duration began = clock.MonotonicNow();
  const auto workspaces = DueWorkspaces();
  std::atomic<size_t> next = 0;
  std::atomic<bool> failed = !workspaces.ok();
  std::vector<std::jthread> workers;
  for (int64_t i = 0; workspaces.ok() && i < arguments.Number("workers", 10); ++i) {
    workers.emplace_back([&] {
      const absl::Status status = Work(*workspaces, next);
      if (status.ok()) return;
      failed = true;
      std::fprintf(stderr, "workspace_herd: %s\n", status.ToString().c_str());
    });
  }
  workers.clear();
  if (failed) return 1;
  std::printf("{\"builds\": %zu, \"seconds\": %.6f}\n", workspaces->size(),
              absl::ToDoubleSeconds(clock.MonotonicNow() - began));
  return 0;
}

}  // namespace
}  // namespace coder::bench

int main(int argc, char** argv) { return coder::bench::Run(coder::bench::Arguments(argc, argv)); }
