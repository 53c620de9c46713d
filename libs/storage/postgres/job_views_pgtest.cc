#include <catch2/catch.hpp>

#include "libs/storage/postgres/job_store_fixture.h"

namespace coder::storage {
namespace {

using lifecycle::JobId;
using lifecycle::JobStatus;
using testing::IsOk;
using testing::StatusIs;
using Fixture = JobStoreFixture;

TEST_CASE("logs sent again are stored once, and a hole is refused") {
  Fixture f;
  f.PendingBuild("dev");
  const LeaseClaim claim = f.AcquiredClaim();
  const auto line = [](const std::string& text) {
    return JobLogLine{.time = absl::FromUnixSeconds(1), .stage = "Planning", .output = text};
  };
  REQUIRE_THAT(f.store.AppendLogs(claim, 0, {line("a"), line("b")}, Ample()), IsOk());
  REQUIRE_THAT(f.store.AppendLogs(claim, 0, {line("a"), line("b")}, Ample()), IsOk());
  REQUIRE_THAT(f.store.AppendLogs(claim, 1, {line("b"), line("c")}, Ample()), IsOk());
  CHECK_THAT(f.store.AppendLogs(claim, 4, {line("e")}, Ample()),
             StatusIs(absl::StatusCode::kOutOfRange, "only 3"));
  std::string text;
  int64_t first = 0;
  const auto all = f.views.ReadLogs(claim.job, 0, 100, Ample()).value();
  for (const StoredLogLine& stored : all) {
    if (first == 0) first = stored.id;
    text += stored.line.output;
  }
  CHECK(text == "abc");
  CHECK(f.views.ReadLogs(claim.job, first, 100, Ample()).value().size() == 2);
}

TEST_CASE("output beyond the cap is dropped after one warning") {
  Fixture f;
  f.PendingBuild("dev");
  const LeaseClaim claim = f.AcquiredClaim();
  std::vector<JobLogLine> lines(1023, {.stage = "s", .output = std::string(1024, 'x')});
  REQUIRE_THAT(f.store.AppendLogs(claim, 0, lines, Ample()), IsOk());
  lines.resize(1);
  CHECK_FALSE(f.store.AppendLogs(claim, 1023, lines, Ample()).value().overflowed);
  CHECK(f.store.AppendLogs(claim, 1024, lines, Ample()).value().overflowed);
  CHECK(f.store.AppendLogs(claim, 1025, lines, Ample()).value().overflowed);
  const auto stored = f.views.ReadLogs(claim.job, 0, 2000, Ample()).value();
  REQUIRE(stored.size() == 1025);
  CHECK(stored.back().line.level == LogLevel::kWarn);
  CHECK(f.View(claim.job).logs_overflowed);
}

TEST_CASE("people see jobs a page at a time, daemons, and why a job waits") {
  Fixture f;
  for (int i = 0; i < 3; ++i) f.PendingBuild("ws" + std::to_string(i));
  const LeaseClaim claim = f.AcquiredClaim();
  const JobFilter all{f.world.organization, {}};
  const auto first = f.views.ListJobs(all, std::nullopt, 2, Ample());
  REQUIRE_THAT(first, IsOk());
  REQUIRE(first->size() == 2);
  CHECK(first->front().matching_provisioners == 1);
  const auto rest =
      f.views.ListJobs(all, JobPageKey{first->back().created_at, first->back().id}, 10, Ample());
  CHECK(rest.value().size() == 2);
  const auto running =
      f.views.ListJobs({f.world.organization, {JobStatus::kRunning}}, std::nullopt, 10, Ample());
  REQUIRE(running.value().size() == 1);
  CHECK(running->front().id == claim.job);
  CHECK(running->front().worker_name == "daemon");
  const auto daemons = f.views.ListDaemons(f.world.organization, Ample());
  REQUIRE(daemons.value().size() == 1);
  CHECK(daemons->front().running_jobs == 1);
  CHECK(daemons->front().online);
  CHECK(f.views.CountJobs(Ample()).value().size() == 2);
  CHECK_THAT(f.views.GetJob(f.world.NewId<JobId>(), Ample()),
             StatusIs(absl::StatusCode::kNotFound));
  CHECK_THAT(f.store.CheckWritable(Ample()), IsOk());
}

}  // namespace
}  // namespace coder::storage
