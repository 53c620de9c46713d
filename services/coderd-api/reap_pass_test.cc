#include "services/coderd-api/reap_pass.h"

#include <catch2/catch.hpp>

#include "libs/clock/fake_clock.h"
#include "libs/testing/matchers.h"

namespace coder::api {
namespace {

using testing::IsOk;
using testing::StatusIs;

// A store with one expired job, which may be unreachable.
class ExpiredJob : public storage::JobStore {
 public:
  bool reachable = true;
  int reaped = 0;

  absl::Status CheckWritable(clock::Deadline) override {
    return reachable ? absl::OkStatus() : absl::UnavailableError("no database");
  }
  absl::StatusOr<std::vector<storage::ReapedJob>> ReapExpired(int, clock::Deadline) override {
    ++reaped;
    return std::vector<storage::ReapedJob>(1);
  }

  absl::StatusOr<lifecycle::ProvisionerDaemonId> RecordDaemon(const storage::DaemonHello&,
                                                              clock::Deadline) override {
    return kUnused;
  }
  absl::StatusOr<std::vector<lifecycle::ProvisionerDaemonId>> TouchDaemons(
      const std::vector<lifecycle::ProvisionerDaemonId>&, clock::Deadline) override {
    return kUnused;
  }
  absl::StatusOr<std::vector<storage::AcquiredJob>> AcquireJobs(const storage::AcquireTerms&,
                                                                clock::Deadline) override {
    return kUnused;
  }
  absl::Status ReleaseJob(const storage::LeaseClaim&, clock::Deadline) override { return kUnused; }
  absl::StatusOr<storage::HeartbeatAnswer> Heartbeat(const storage::LeaseClaim&, absl::Duration,
                                                     clock::Deadline) override {
    return kUnused;
  }
  absl::StatusOr<storage::AppendOutcome> AppendLogs(const storage::LeaseClaim&, int64_t,
                                                    const std::vector<storage::JobLogLine>&,
                                                    clock::Deadline) override {
    return kUnused;
  }
  absl::StatusOr<std::string> LoadSource(const storage::LeaseClaim&, clock::Deadline) override {
    return kUnused;
  }
  absl::StatusOr<std::optional<std::string>> LoadSealedState(const storage::LeaseClaim&,
                                                             clock::Deadline) override {
    return kUnused;
  }
  absl::StatusOr<bool> StoreSealedState(const storage::LeaseClaim&, const std::string&,
                                        clock::Deadline) override {
    return kUnused;
  }
  absl::Status CompleteImport(const storage::LeaseClaim&, const storage::ImportOutcome&,
                              const std::vector<storage::StageTiming>&, clock::Deadline) override {
    return kUnused;
  }
  absl::StatusOr<std::optional<storage::CompletedBuild>> CompleteBuild(
      const storage::LeaseClaim&, const std::vector<storage::ResourceRecord>&,
      const std::vector<storage::StageTiming>&, clock::Deadline) override {
    return kUnused;
  }
  absl::Status FailJob(const storage::LeaseClaim&, const storage::JobFailure&,
                       const std::vector<storage::StageTiming>&, clock::Deadline) override {
    return kUnused;
  }

 private:
  const absl::Status kUnused = absl::UnimplementedError("no part of reaping");
};

struct Fixture {
  // Passes every 5 s for `duration`.
  void RunFor(absl::Duration duration) {
    for (absl::Duration t; t < duration; t += absl::Seconds(5)) {
      (void)pass.Run({});
      clock.Advance(absl::Seconds(5));
    }
  }

  clock::FakeClock clock;
  ExpiredJob store;
  ReapPass pass{store, clock, {.lease = absl::Seconds(30)}};
};

TEST_CASE("a fresh process reaps nothing for one lease") {
  Fixture f;
  f.RunFor(absl::Seconds(30));
  CHECK(f.store.reaped == 0);
  CHECK_THAT(f.pass.Run({}), IsOk());
  CHECK(f.store.reaped == 1);
}

TEST_CASE("after an outage nothing is reaped for one lease") {
  Fixture f;
  f.RunFor(absl::Seconds(30));
  f.store.reachable = false;
  f.RunFor(absl::Minutes(2));
  CHECK_THAT(f.pass.Run({}), StatusIs(absl::StatusCode::kUnavailable));
  f.store.reachable = true;
  f.RunFor(absl::Seconds(30));
  CHECK(f.store.reaped == 0);
  CHECK_THAT(f.pass.Run({}), IsOk());
  CHECK(f.store.reaped == 1);
}

TEST_CASE("a process that stood still reaps nothing for one lease") {
  Fixture f;
  f.RunFor(absl::Seconds(35));
  REQUIRE(f.store.reaped == 1);
  f.clock.Advance(absl::Minutes(2));
  f.RunFor(absl::Seconds(30));
  CHECK(f.store.reaped == 1);
}

TEST_CASE("a heartbeat that could not be taken puts reaping off") {
  Fixture f;
  f.RunFor(absl::Seconds(30));
  f.pass.FoundUnavailable();
  f.RunFor(absl::Seconds(30));
  CHECK(f.store.reaped == 0);
}

}  // namespace
}  // namespace coder::api
