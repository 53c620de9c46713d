#include "libs/storage/postgres/pg_build_store.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/lifecycle/job_state.h"
#include "libs/lifecycle/new_build.h"
#include "libs/pg/transaction.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"
#include "libs/storage/postgres/build_event_writer.h"
#include "libs/storage/postgres/idempotency.h"
#include "libs/storage/postgres/insert_build.h"
#include "libs/storage/postgres/job_rows.h"
#include "libs/storage/postgres/new_build_context.h"
#include "libs/storage/postgres/resource_rows.h"
#include "libs/storage/postgres/workspace_rows.h"

namespace coder::storage {
namespace {

using lifecycle::BuildId;
using lifecycle::JobId;
using lifecycle::JobState;
using lifecycle::JobStatus;
using lifecycle::NameValue;
using lifecycle::WorkspaceId;

const std::string& ById() {
  static const auto* const sql = new std::string(SelectBuilds("WHERE b.id = $1"));
  return *sql;
}

const std::string& ByNumber() {
  static const auto* const sql =
      new std::string(SelectBuilds("WHERE b.workspace_id = $1 AND b.build_number = $2"));
  return *sql;
}

const std::string& Page() {
  static const auto* const sql = new std::string(
      SelectBuilds("WHERE b.workspace_id = $1 AND ($2::integer IS NULL OR b.build_number < $2) "
                   "ORDER BY b.build_number DESC LIMIT $3"));
  return *sql;
}

constexpr char kLockWorkspaceOf[] = R"sql(
SELECT w.latest_build_id FROM workspaces w JOIN workspace_builds b ON b.workspace_id = w.id
WHERE b.id = $1 FOR UPDATE OF w)sql";

constexpr char kLockJobOf[] = R"sql(
SELECT j.id, j.started_at, j.canceled_at, j.completed_at, j.error, j.error_code, now() AS now
FROM provisioner_jobs j JOIN workspace_builds b ON b.job_id = j.id WHERE b.id = $1
FOR UPDATE OF j)sql";

constexpr char kCancelJob[] =
    "UPDATE provisioner_jobs SET canceled_at = $2, completed_at = $3, updated_at = now() "
    "WHERE id = $1";

constexpr char kLateState[] = R"sql(
SELECT b.build_number, b.late_state IS NOT NULL AND b.late_state_resolution IS NULL AS pending,
  l.build_number AS latest_number, j.status AS latest_status
FROM workspace_builds b
JOIN workspaces w ON w.id = b.workspace_id
JOIN workspace_builds l ON l.id = w.latest_build_id
JOIN provisioner_jobs j ON j.id = l.job_id
WHERE b.id = $1)sql";

// A later build started from what this one left: it takes the adopted state too.
constexpr char kAdopt[] = R"sql(
UPDATE workspace_builds b SET sealed_state = s.late_state, updated_at = now(),
  late_state_resolution = CASE WHEN b.id = s.id THEN 'adopted' ELSE b.late_state_resolution END
FROM workspace_builds s JOIN workspaces w ON w.id = s.workspace_id
WHERE s.id = $1 AND b.id IN (s.id, w.latest_build_id))sql";

constexpr char kDismiss[] =
    "UPDATE workspace_builds SET late_state_resolution = 'dismissed', updated_at = now() "
    "WHERE id = $1";

constexpr char kParameters[] =
    "SELECT name, value FROM workspace_build_parameters WHERE build_id = $1 ORDER BY name";

absl::Status NoBuild(absl::string_view attempt, absl::string_view which) {
  return absl::NotFoundError(absl::StrCat(attempt, " ", which, ": there is none"));
}

absl::StatusOr<BuildRecord> ReadBuild(pg::Transaction& tx, const BuildId& id) {
  ASSIGN_OR_RETURN(const pg::Result rows, tx.Execute(ById(), {id.ToString()}));
  if (rows.empty()) return NoBuild("get build", id.ToString());
  return BuildOf(rows[0]);
}

absl::StatusOr<BuildId> QueueBuild(pg::Transaction& tx, const BuildOrder& order,
                                   ids::UuidV7Generator& ids) {
  ASSIGN_OR_RETURN(lifecycle::NewBuildContext context,
                   LockForNewBuild(tx, order.workspace,
                                   {.transition = order.transition,
                                    .version_id = order.version,
                                    .orphan = order.orphan,
                                    .parameters = order.parameters}));
  context.may_update_template = order.may_update_template;
  ASSIGN_OR_RETURN(lifecycle::NewBuildPlan plan, lifecycle::CheckNewBuild(context));
  const BuildToInsert build{.id = BuildId(ids.Next()),
                            .job = JobId(ids.Next()),
                            .workspace = order.workspace,
                            .version = context.version.id,
                            .transition = order.transition,
                            .reason = order.reason,
                            .initiator = order.initiator,
                            .debug = order.debug,
                            .plan = std::move(plan)};
  RETURN_IF_ERROR(InsertBuild(tx, build));
  return build.id;
}

JobState StateOf(const pg::Result::Row& row) {
  using MaybeTime = std::optional<absl::Time>;
  return {.started_at = row.Get<MaybeTime>("started_at"),
          .canceled_at = row.Get<MaybeTime>("canceled_at"),
          .completed_at = row.Get<MaybeTime>("completed_at"),
          .error = row.Get<std::string>("error"),
          .error_code = row.Get<std::string>("error_code")};
}

absl::Status CheckLateState(const BuildId& id, const pg::Result::Row& row) {
  const std::string attempt = absl::StrCat("resolve late state of build ", id.ToString());
  if (!row.Get<bool>("pending")) {
    return status::WithReason(absl::FailedPreconditionError(absl::StrCat(
                                  attempt, ": none waits for a decision; there is nothing to do")),
                              "NO_LATE_STATE");
  }
  const auto latest =
      WordFromColumn(lifecycle::ParseJobStatus, row.Get<std::string>("latest_status"));
  if (lifecycle::IsFinal(latest)) return absl::OkStatus();
  const int32_t number = row.Get<int32_t>("latest_number");
  return status::WithReason(absl::FailedPreconditionError(absl::StrCat(
                                attempt, ": build ", number, " is ", lifecycle::ToString(latest),
                                "; wait for it to finish or cancel it")),
                            "BUILD_ACTIVE",
                            {{"build_number", absl::StrCat(number)},
                             {"status", std::string(lifecycle::ToString(latest))}});
}

}  // namespace

absl::StatusOr<BuildRecord> PgBuildStore::Create(const BuildOrder& order,
                                                 clock::Deadline deadline) {
  return pg::RunInTransaction(
      pool_, {.deadline = deadline}, [&](pg::Transaction& tx) -> absl::StatusOr<BuildRecord> {
        if (order.request) {
          ASSIGN_OR_RETURN(const std::optional<std::string> answer,
                           FindResponse(tx, *order.request));
          if (answer) return ReadBuild(tx, IdFromColumn<BuildId>(*answer));
        }
        ASSIGN_OR_RETURN(const BuildId build, QueueBuild(tx, order, ids_));
        if (order.request) {
          RETURN_IF_ERROR(StoreResponse(tx, *order.request, build.ToString()));
        }
        return ReadBuild(tx, build);
      });
}

absl::StatusOr<BuildRecord> PgBuildStore::Get(const BuildId& id, clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result rows, pool_.Execute(ById(), {id.ToString()}, deadline));
  if (rows.empty()) return NoBuild("get build", id.ToString());
  return BuildOf(rows[0]);
}

absl::StatusOr<BuildRecord> PgBuildStore::GetByNumber(const WorkspaceId& workspace, int32_t number,
                                                      clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result rows,
                   pool_.Execute(ByNumber(), {workspace.ToString(), number}, deadline));
  if (rows.empty()) {
    return NoBuild("get build", absl::StrCat(number, " of workspace ", workspace.ToString()));
  }
  return BuildOf(rows[0]);
}

absl::StatusOr<std::vector<BuildRecord>> PgBuildStore::List(const WorkspaceId& workspace,
                                                            const std::optional<int32_t>& below,
                                                            int limit, clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result rows,
                   pool_.Execute(Page(), {workspace.ToString(), below, limit}, deadline));
  std::vector<BuildRecord> builds;
  for (const pg::Result::Row row : rows) builds.push_back(BuildOf(row));
  return builds;
}

absl::StatusOr<BuildRecord> PgBuildStore::Cancel(const BuildId& id,
                                                 const std::optional<JobStatus>& expected,
                                                 clock::Deadline deadline) {
  return pg::RunInTransaction(
      pool_, {.deadline = deadline}, [&](pg::Transaction& tx) -> absl::StatusOr<BuildRecord> {
        ASSIGN_OR_RETURN(const std::vector<pg::Result> locked,
                         tx.Execute(pg::Pipeline()
                                        .Add(kLockWorkspaceOf, {id.ToString()})
                                        .Add(kLockJobOf, {id.ToString()})));
        if (locked[1].empty()) return NoBuild("cancel build", id.ToString());
        const pg::Result::Row row = locked[1][0];
        ASSIGN_OR_RETURN(const JobState state,
                         lifecycle::Step(StateOf(row), lifecycle::RequestCancel{expected},
                                         row.Get<absl::Time>("now")));
        RETURN_IF_ERROR(tx.Execute(kCancelJob, {row.Get<std::string>("id"), state.canceled_at,
                                                state.completed_at})
                            .status());
        RETURN_IF_ERROR(WriteBuildEvent(tx, id));
        return ReadBuild(tx, id);
      });
}

absl::StatusOr<std::vector<NameValue>> PgBuildStore::ListParameters(const BuildId& id,
                                                                    clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result rows, pool_.Execute(kParameters, {id.ToString()}, deadline));
  std::vector<NameValue> parameters;
  for (const pg::Result::Row row : rows) {
    parameters.push_back({row.Get<std::string>("name"), row.Get<std::string>("value")});
  }
  return parameters;
}

absl::StatusOr<std::vector<ResourceView>> PgBuildStore::ListResources(const JobId& job,
                                                                      clock::Deadline deadline) {
  return pg::RunInTransaction(pool_, {.deadline = deadline, .read_only = true},
                              [&](pg::Transaction& tx) { return ReadResources(tx, job); });
}

absl::StatusOr<BuildRecord> PgBuildStore::ResolveLateState(const BuildId& id, bool adopt,
                                                           clock::Deadline deadline) {
  return pg::RunInTransaction(
      pool_, {.deadline = deadline}, [&](pg::Transaction& tx) -> absl::StatusOr<BuildRecord> {
        ASSIGN_OR_RETURN(const std::vector<pg::Result> rows,
                         tx.Execute(pg::Pipeline()
                                        .Add(kLockWorkspaceOf, {id.ToString()})
                                        .Add(kLateState, {id.ToString()})));
        if (rows[1].empty()) return NoBuild("resolve late state of build", id.ToString());
        RETURN_IF_ERROR(CheckLateState(id, rows[1][0]));
        RETURN_IF_ERROR(tx.Execute(adopt ? kAdopt : kDismiss, {id.ToString()}).status());
        RETURN_IF_ERROR(WriteBuildEvent(tx, id, BuildEventKind::kLateStateResolved));
        return ReadBuild(tx, id);
      });
}

}  // namespace coder::storage
