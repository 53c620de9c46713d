#pragma once

#include <catch2/catch.hpp>
#include <optional>
#include <string>

#include "libs/auth/token.h"
#include "libs/status/error_reason.h"
#include "libs/storage/postgres/pg_job_store.h"
#include "libs/storage/postgres/pg_job_view_store.h"
#include "libs/storage/postgres/testing/migrated_database.h"
#include "libs/storage/postgres/testing/sample_world.h"
#include "libs/testing/matchers.h"
#include "protos/coder/events/v1/build_event.pb.h"

namespace coder::storage {

inline constexpr absl::Duration kLease = absl::Seconds(30);

inline clock::Deadline Ample() { return clock::Deadline::After(absl::Minutes(1)); }

/// The reason a status carries, or nothing.
inline std::string ReasonOf(const absl::Status& status) {
  const auto reason = status::ReasonOf(status);
  return reason ? reason->reason : "";
}

/// A world with one daemon, and the stores as the service's database role sees it.
struct JobStoreFixture {
  explicit JobStoreFixture(const Tags& daemon_tags = {}) {
    key = world.identities.AddProvisionerKey(auth::GenerateProvisionerKey().secret_hash,
                                             world.organization, world.owner);
    terms = {
        {RecordDaemon("daemon", daemon_tags)}, world.organization, {"echo"}, daemon_tags, kLease};
  }

  lifecycle::ProvisionerDaemonId RecordDaemon(const std::string& name, const Tags& tags = {}) {
    const auto id =
        store.RecordDaemon({world.organization, key, name, "1", {"echo"}, tags, 4}, Ample());
    REQUIRE_THAT(id, testing::IsOk());
    return *id;
  }

  std::optional<AcquiredJob> Acquire() {
    auto jobs = store.AcquireJobs(terms, Ample());
    REQUIRE_THAT(jobs, testing::IsOk());
    if (jobs->empty()) return std::nullopt;
    return std::move(jobs->front());
  }

  lifecycle::BuildId PendingBuild(const std::string& name,
                                  const std::string& transition = "start") {
    return world.AddBuild(world.AddWorkspace(name), transition);
  }

  LeaseClaim AcquiredClaim() {
    auto job = Acquire();
    REQUIRE(job);
    return ClaimOf(*job);
  }

  LeaseClaim ClaimOf(const AcquiredJob& job) const { return {job.id, job.token, job.organization}; }

  void Lapse(const lifecycle::JobId& job) {
    world.Run("UPDATE provisioner_jobs SET lease_expires_at = now() - interval '1 s' WHERE id = $1",
              {job.ToString()});
  }

  void RequestCancel(const lifecycle::JobId& job) {
    world.Run("UPDATE provisioner_jobs SET canceled_at = now() WHERE id = $1", {job.ToString()});
  }

  JobView View(const lifecycle::JobId& job) {
    auto view = views.GetJob(job, Ample());
    REQUIRE_THAT(view, testing::IsOk());
    return *std::move(view);
  }

  /// "RUNNING,SUCCEEDED": what the events say, oldest first.
  std::string Events() {
    std::string words;
    for (const auto row : world.Run("SELECT payload FROM outbox ORDER BY id")) {
      events::v1::BuildEventPack pack;
      REQUIRE(pack.ParseFromString(row.Get<pg::Bytea>("payload").bytes));
      for (const auto& event : pack.events()) {
        words += words.empty() ? "" : ",";
        words += event.kind() == events::v1::BUILD_EVENT_KIND_LATE_STATE_STORED
                     ? "late"
                     : events::v1::JobStatus_Name(event.job_status()).substr(11);
      }
    }
    return words;
  }

  MigratedDatabase database{20};
  SampleWorld world{database.pool()};
  pg::Pool pool{{.connect = {.conninfo = database.conninfo() + " options='-c role=coder_api'",
                             .application_name = "test"},
                 .max_connections = 10}};
  ids::UuidV7Generator ids{[] { return absl::UnixEpoch(); }, ids::SystemRandom()};
  PgJobStore store{pool, ids};
  PgJobViewStore views{pool};
  lifecycle::ProvisionerKeyId key;
  AcquireTerms terms;
};

}  // namespace coder::storage
