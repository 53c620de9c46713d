#pragma once

#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "coder/events/v1/build_event.pb.h"
#include "libs/status/error_reason.h"
#include "libs/storage/postgres/pg_build_store.h"
#include "libs/storage/postgres/testing/migrated_database.h"
#include "libs/storage/postgres/testing/sample_world.h"
#include "libs/testing/matchers.h"

namespace coder::storage {

inline clock::Deadline Ample() { return clock::Deadline::After(absl::Minutes(1)); }

/// Builds as the API's role makes them, over a database of their own.
struct BuildStoreFixture {
  MigratedDatabase database;
  SampleWorld world{database.pool()};
  // The role the API has in production, so that a missing grant shows.
  pg::Pool pool{{.connect = {.conninfo = database.conninfo() + " options='-c role=coder_api'",
                             .application_name = "test"},
                 .max_connections = 20}};
  ids::UuidV7Generator ids{[] { return absl::FromChrono(std::chrono::system_clock::now()); },
                           ids::SystemRandom()};
  PgBuildStore store{pool, ids};

  BuildOrder Order(const lifecycle::WorkspaceId& workspace,
                   lifecycle::BuildTransition transition = lifecycle::BuildTransition::kStart) {
    return {.workspace = workspace, .initiator = world.owner, .transition = transition};
  }

  absl::StatusOr<BuildRecord> Create(
      const lifecycle::WorkspaceId& workspace,
      lifecycle::BuildTransition transition = lifecycle::BuildTransition::kStart) {
    return store.Create(Order(workspace, transition), Ample());
  }

  // A workspace whose only build, a start, succeeded.
  lifecycle::WorkspaceId Running(const std::string& name) {
    const lifecycle::WorkspaceId workspace = world.AddWorkspace(name);
    const auto build = Create(workspace);
    REQUIRE_THAT(build, testing::IsOk());
    world.MoveJob(build->id, "succeeded");
    return workspace;
  }

  // The statuses of a workspace's events in order, after a check that its versions are dense.
  std::vector<events::v1::JobStatus> Events(const lifecycle::WorkspaceId& workspace) {
    std::vector<events::v1::JobStatus> statuses;
    for (const auto row : world.Run("SELECT payload FROM outbox WHERE workspace_id = $1 "
                                    "ORDER BY id",
                                    {workspace.ToString()})) {
      events::v1::BuildEventPack pack;
      REQUIRE(pack.ParseFromString(row.Get<pg::Bytea>(0).bytes));
      statuses.push_back(pack.events(0).job_status());
      CHECK(pack.events(0).workspace_version() == static_cast<int64_t>(statuses.size()));
    }
    return statuses;
  }

  void AddParameter(const std::string& name, const std::string& type, bool is_mutable,
                    bool required, const std::string& default_value = "") {
    world.Run(
        "INSERT INTO template_version_parameters (template_version_id, name, type, mutable, "
        "required, default_value) VALUES ($1, $2, $3, $4, $5, $6)",
        {world.version.ToString(), name, type, is_mutable, required, default_value});
  }
};

/// The reason a refusal carries, or nothing.
inline std::string ReasonOf(const absl::StatusOr<BuildRecord>& result) {
  const auto reason = status::ReasonOf(result.status());
  return reason ? reason->reason : "";
}

}  // namespace coder::storage
