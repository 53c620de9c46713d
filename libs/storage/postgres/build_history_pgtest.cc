#include <atomic>
#include <catch2/catch.hpp>
#include <random>
#include <thread>

#include "libs/lifecycle/job_state.h"
#include "libs/storage/postgres/build_store_fixture.h"

namespace coder::storage {
namespace {

using ::coder::testing::IsOk;
using lifecycle::BuildId;
using lifecycle::JobStatus;
using lifecycle::WorkspaceId;

using Fixture = BuildStoreFixture;

TEST_CASE("of builds asked for at the same moment exactly one is made") {
  Fixture f;
  const WorkspaceId workspace = f.world.AddWorkspace("dev");
  constexpr int kThreads = 16;
  for (int round = 0; round < 5; ++round) {
    std::atomic<int> made = 0;
    std::atomic<int> refused = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        const auto build = f.Create(workspace);
        made += build.ok();
        refused += ReasonOf(build) == "BUILD_ACTIVE";
      });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(made == 1);
    CHECK(refused == kThreads - 1);
    CHECK(f.Events(workspace).size() == static_cast<size_t>(round + 1));
    f.world.MoveJob(f.store.GetByNumber(workspace, round + 1, Ample())->id, "succeeded");
  }
}

// What the store should do, in a few lines.
struct Model {
  int builds = 0;
  size_t events = 0;
  lifecycle::JobState job;

  bool Create() {
    if (builds > 0 && !lifecycle::IsFinal(lifecycle::StatusOf(job))) return false;
    ++builds;
    ++events;
    job = {};
    return true;
  }

  bool Cancel(absl::Time now) {
    if (builds == 0) return false;
    const auto next = lifecycle::Step(job, lifecycle::RequestCancel{}, now);
    if (!next.ok()) return false;
    job = *next;
    ++events;
    return true;
  }
};

TEST_CASE("random histories end where the model does") {
  Fixture f;
  const unsigned seed = GENERATE(1u, 2u, 3u);
  std::mt19937 random(seed);
  const WorkspaceId workspace = f.world.AddWorkspace("dev");
  Model model;
  BuildId latest;
  const absl::Time now = absl::UnixEpoch();
  for (int step = 0; step < 60; ++step) {
    CAPTURE(seed, step);
    const bool exists = model.builds > 0;
    switch (random() % 4) {
      case 0: {
        const auto build = f.Create(workspace);
        CHECK(build.ok() == model.Create());
        if (build.ok()) latest = build->id;
        break;
      }
      case 1:
        CHECK(f.store.Cancel(latest, std::nullopt, Ample()).ok() == model.Cancel(now));
        break;
      case 2:
        if (exists && lifecycle::StatusOf(model.job) == JobStatus::kPending) {
          f.world.MoveJob(latest, "running");
          model.job.started_at = now;
        }
        break;
      case 3:
        if (exists && model.job.started_at && !model.job.completed_at) {
          const bool failed = random() % 2 == 0;
          f.world.MoveJob(latest, failed ? "failed" : "succeeded");
          model.job.completed_at = now;
          if (failed) model.job.error = "apply: out of disk";
          if (!failed) model.job.canceled_at.reset();
        }
        break;
    }
    if (model.builds == 0) continue;
    const auto build = f.store.Get(latest, Ample());
    REQUIRE_THAT(build, IsOk());
    CHECK(build->number == model.builds);
    CHECK(build->job.status == lifecycle::StatusOf(model.job));
  }
  CHECK(f.Events(workspace).size() == model.events);
}

}  // namespace
}  // namespace coder::storage
