#include "libs/storage/postgres/job_rows.h"

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/schedule/spread.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"

namespace coder::storage {
namespace {

using ::nlohmann::json;

constexpr char kLockWorkspace[] = R"sql(
  SELECT b.id AS build_id, w.id AS workspace_id, b.transition
  FROM workspace_builds b JOIN workspaces w ON w.id = b.workspace_id
  WHERE b.job_id = $1 AND w.organization_id = $2
  FOR UPDATE OF w)sql";

constexpr char kLockJob[] = R"sql(
  SELECT type, status, coalesce(lease_token = $3, false) AS token_matches,
    error_code = 'LEASE_EXPIRED' AS reaped
  FROM provisioner_jobs WHERE id = $1 AND organization_id = $2
  FOR UPDATE)sql";

}  // namespace

std::string TagsToJson(const Tags& tags) {
  return json(tags).dump(-1, ' ', false, json::error_handler_t::replace);
}

Tags TagsFromJson(const std::string& text) {
  Tags tags;
  const json parsed = json::parse(text, nullptr, /*allow_exceptions=*/false);
  for (const auto& [key, value] : parsed.items()) {
    tags[key] = value.is_string() ? value.get<std::string>() : value.dump();
  }
  return tags;
}

absl::StatusOr<LockedJob> LockClaimedJob(pg::Transaction& transaction, const LeaseClaim& claim,
                                         absl::string_view attempt) {
  const std::string job = claim.job.ToString();
  const std::string organization = claim.organization.ToString();
  pg::Pipeline locks;
  locks.Add(kLockWorkspace, {job, organization});
  locks.Add(kLockJob, {job, organization, claim.token.ToString()});
  ASSIGN_OR_RETURN(const std::vector<pg::Result> rows, transaction.Execute(locks));
  if (rows[1].empty()) return LeaseLost(attempt, claim);

  LockedJob locked;
  const pg::Result::Row row = rows[1][0];
  locked.token_matches = row.Get<bool>("token_matches");
  locked.type = WordFromColumn(lifecycle::ParseJobType, row.Get<std::string>("type"));
  locked.status = WordFromColumn(lifecycle::ParseJobStatus, row.Get<std::string>("status"));
  locked.reaped = row.Get<bool>("reaped");
  if (!rows[0].empty()) {
    const pg::Result::Row build = rows[0][0];
    locked.build = IdFromColumn<lifecycle::BuildId>(build.Get<std::string>("build_id"));
    locked.workspace = IdFromColumn<lifecycle::WorkspaceId>(build.Get<std::string>("workspace_id"));
    locked.transition =
        WordFromColumn(lifecycle::ParseBuildTransition, build.Get<std::string>("transition"));
  }
  return locked;
}

absl::Status LeaseLost(absl::string_view attempt, const LeaseClaim& claim) {
  return status::WithReason(
      absl::FailedPreconditionError(absl::StrCat(
          attempt, " ", claim.job.ToString(),
          ": its lease is lost; stop the engine, upload its state and forget the job")),
      "LEASE_LOST", {{"job_id", claim.job.ToString()}});
}

std::optional<absl::Time> DueAt(const pg::Result::Row& row, const lifecycle::WorkspaceId& id) {
  const auto nominal = row.Get<std::optional<absl::Time>>("nominal_at");
  if (!nominal || row.Get<std::string>("reason") != "autostart") return nominal;
  return *nominal +
         schedule::SpreadOffset(id.ToString(), row.Get<absl::Duration>("autostart_spread"));
}

}  // namespace coder::storage
