#include "services/provisionerd/job_run.h"

#include <catch2/catch.hpp>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <thread>

#include "libs/archive/template_archive.h"
#include "libs/clock/fake_clock.h"
#include "libs/clock/system_clock.h"
#include "libs/status/error_reason.h"
#include "services/provisionerd/lease_keeper.h"

namespace coder::provisionerd {
namespace {

std::string FreshDirectory(const std::string& name) {
  const auto path = std::filesystem::path(std::getenv("TEST_TMPDIR")) / name;
  std::filesystem::remove_all(path);
  std::filesystem::create_directories(path);
  return path.string();
}

std::string SomeArchive() {
  const std::string directory = FreshDirectory("source");
  std::ofstream(directory + "/main.tf") << "# nothing\n";
  return archive::PackTemplate(directory).value();
}

/// An API that answers as told and remembers what it was told, in order.
class ScriptedClient final : public JobClient {
 public:
  absl::StatusOr<HeartbeatAnswer> Heartbeat(const Lease&) override {
    const std::lock_guard lock(mutex);
    ++heartbeats;
    changed.notify_all();
    if (!heartbeat.ok()) return heartbeat;
    return HeartbeatAnswer{cancel_requested, absl::Seconds(30)};
  }
  absl::StatusOr<bool> AppendLogs(const Lease&, int64_t first_line,
                                  const std::vector<TimedLogLine>& lines) override {
    const std::lock_guard lock(mutex);
    CHECK(first_line == static_cast<int64_t>(log.size()));
    for (const auto& line : lines) log.push_back(line.line.text);
    return false;
  }
  absl::StatusOr<std::string> DownloadSource(const Lease&) override { return source; }
  absl::StatusOr<std::string> DownloadState(const Lease&) override { return std::string("before"); }
  absl::StatusOr<bool> UploadState(const Lease&, std::string_view state) override {
    const std::lock_guard lock(mutex);
    if (!unanswered_uploads.empty()) {
      const absl::Status status = unanswered_uploads.back();
      unanswered_uploads.pop_back();
      return status;
    }
    calls.push_back("state:" + std::string(state));
    return heartbeat.code() == absl::StatusCode::kFailedPrecondition;
  }
  absl::Status CompleteImport(const Lease&, const ImportResult&, const JobTimings&) override {
    return Remember("complete-import");
  }
  absl::Status CompleteBuild(const Lease&, const std::vector<Resource>&,
                             const JobTimings&) override {
    const std::lock_guard lock(mutex);
    if (unavailable_completions > 0) {
      --unavailable_completions;
      return absl::UnavailableError("restarting");
    }
    calls.push_back("complete-build");
    return absl::OkStatus();
  }
  absl::Status Fail(const Lease&, const JobFailure& failure, const JobTimings&) override {
    return Remember("fail:" + failure.error_code + (failure.canceled ? ":canceled" : ""));
  }
  absl::Status Release(const Lease&) override { return Remember("release"); }

  void AwaitHeartbeats(int count) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return heartbeats >= count; });
  }

  std::mutex mutex;
  std::condition_variable changed;
  absl::Status heartbeat;
  bool cancel_requested = false;
  int heartbeats = 0;
  int unavailable_completions = 0;
  std::vector<absl::Status> unanswered_uploads;
  std::string source = SomeArchive();
  std::vector<std::string> log;
  std::vector<std::string> calls;

 private:
  absl::Status Remember(const std::string& call) {
    const std::lock_guard lock(mutex);
    calls.push_back(call);
    return absl::OkStatus();
  }
};

/// An engine whose build does what the test says.
class ScriptedEngine final : public Engine {
 public:
  absl::StatusOr<ImportResult> Import(const ImportRequest&, const EngineContext&) override {
    return ImportResult{};
  }
  absl::StatusOr<BuildResult> Build(const BuildRequest& request,
                                    const EngineContext& context) override {
    return build(request, context);
  }
  std::function<BuildResult(const BuildRequest&, const EngineContext&)> build;
};

struct Fixture {
  Fixture() {
    environment.engines["terraform"] = &engine;
    environment.work_root = FreshDirectory("jobs");
    environment.client = &client;
    environment.clock = &clock;
    job.lease = {"00000000-0000-7000-8000-0123456789ab", "secret"};
    job.lease_duration = absl::Seconds(30);
    job.provisioner = "terraform";
    job.work = BuildRequest{};
  }
  JobEnd Run(std::stop_token drain = {}) {
    return RunJob(environment, job, clock.MonotonicNow(), drain, phase);
  }

  ScriptedClient client;
  ScriptedEngine engine;
  clock::SystemClock clock;
  JobEnvironment environment;
  Job job;
  JobPhase phase;
};

TEST_CASE("a job's phase is that of its log, and the last one is the cleaning up") {
  Fixture fixture;
  std::vector<std::string> phases;
  fixture.engine.build = [&](const BuildRequest&, const EngineContext& context) {
    phases.push_back(fixture.phase.Get());
    context.log({"Planning", LogLevel::kInfo, LogSource::kProvisioner, "a line"});
    phases.push_back(fixture.phase.Get());
    return BuildResult{absl::OkStatus(), "after"};
  };
  CHECK(fixture.Run() == JobEnd::kSucceeded);
  CHECK(phases == std::vector<std::string>{"Setting up", "Planning"});
  CHECK(fixture.phase.Get() == "Cleaning Up");
}

TEST_CASE("a build's state is stored before it is completed") {
  Fixture fixture;
  fixture.engine.build = [](const BuildRequest& request, const EngineContext& context) {
    CHECK(request.previous_state == "before");
    CHECK(std::filesystem::exists(request.template_dir + "/main.tf"));
    context.log({"Planning", LogLevel::kInfo, LogSource::kProvisioner, "a line"});
    return BuildResult{absl::OkStatus(), "after"};
  };
  CHECK(fixture.Run() == JobEnd::kSucceeded);
  CHECK(fixture.client.calls == std::vector<std::string>{"state:after", "complete-build"});
  CHECK(fixture.client.log == std::vector<std::string>{"fetching the template", "a line"});
  CHECK(std::filesystem::is_empty(fixture.environment.work_root));
}

TEST_CASE("a failed build keeps the state it got to") {
  Fixture fixture;
  fixture.engine.build = [](const BuildRequest&, const EngineContext&) {
    return BuildResult{absl::FailedPreconditionError("main.tf:3: no such thing"), "partial"};
  };
  CHECK(fixture.Run() == JobEnd::kFailed);
  CHECK(fixture.client.calls == std::vector<std::string>{"state:partial", "fail:ENGINE_FAILED"});
  CHECK(fixture.client.log.back() == "main.tf:3: no such thing");
}

TEST_CASE("a result is offered again while the API restarts") {
  Fixture fixture;
  fixture.client.unavailable_completions = 1;
  fixture.engine.build = [](const BuildRequest&, const EngineContext&) {
    return BuildResult{absl::OkStatus(), std::nullopt};
  };
  CHECK(fixture.Run() == JobEnd::kSucceeded);
  CHECK(fixture.client.calls == std::vector<std::string>{"complete-build"});
}

TEST_CASE("a state is stored again when nobody can tell whether it was") {
  Fixture fixture;
  fixture.client.unanswered_uploads = {absl::UnknownError("commit: the session was lost"),
                                       absl::CancelledError("the API leaves")};
  fixture.engine.build = [](const BuildRequest&, const EngineContext&) {
    return BuildResult{absl::OkStatus(), "state"};
  };
  CHECK(fixture.Run() == JobEnd::kSucceeded);
  CHECK(fixture.client.calls == std::vector<std::string>{"state:state", "complete-build"});
}

TEST_CASE("a damaged archive and an unknown engine end the job with a reason") {
  Fixture fixture;
  SECTION("archive") {
    fixture.client.source = "not an archive";
    CHECK(fixture.Run() == JobEnd::kFailed);
    CHECK(fixture.client.calls == std::vector<std::string>{"fail:ARCHIVE_REFUSED"});
  }
  SECTION("engine") {
    fixture.job.provisioner = "pulumi";
    CHECK(fixture.Run() == JobEnd::kFailed);
    CHECK(fixture.client.calls == std::vector<std::string>{"fail:UNKNOWN_PROVISIONER"});
  }
}

TEST_CASE("draining interrupts the engine and says so") {
  Fixture fixture;
  std::stop_source drain;
  fixture.engine.build = [&drain](const BuildRequest&, const EngineContext& context) {
    drain.request_stop();
    CHECK(context.interrupt.stop_requested());
    CHECK_FALSE(context.kill.stop_requested());
    return BuildResult{absl::CancelledError("stopped"), "partial"};
  };
  CHECK(fixture.Run(drain.get_token()) == JobEnd::kFailed);
  CHECK(fixture.client.calls == std::vector<std::string>{"state:partial", "fail:INTERRUPTED"});
}

struct KeeperFixture {
  clock::FakeClock clock;
  ScriptedClient client;
  Lease lease{"job", "secret"};
};

TEST_CASE("heartbeats renew the lease every third of it") {
  KeeperFixture fixture;
  LeaseKeeper keeper(fixture.client, fixture.clock, fixture.lease, absl::Seconds(30),
                     fixture.clock.MonotonicNow());
  for (int beat = 1; beat <= 5; ++beat) {
    fixture.clock.AwaitWaiters(1);
    fixture.clock.Advance(absl::Seconds(10));
    fixture.client.AwaitHeartbeats(beat);
  }
  CHECK(keeper.cause() == StopCause::kNone);
  CHECK_FALSE(keeper.interrupt().stop_requested());
}

TEST_CASE("a cancel interrupts but does not kill") {
  KeeperFixture fixture;
  fixture.client.cancel_requested = true;
  LeaseKeeper keeper(fixture.client, fixture.clock, fixture.lease, absl::Seconds(30),
                     fixture.clock.MonotonicNow());
  fixture.clock.AwaitWaiters(1);
  fixture.clock.Advance(absl::Seconds(10));
  fixture.client.AwaitHeartbeats(1);
  fixture.clock.AwaitWaiters(1);
  CHECK(keeper.cause() == StopCause::kCancel);
  CHECK(keeper.interrupt().stop_requested());
  CHECK_FALSE(keeper.kill().stop_requested());
}

// A keeper whose heartbeats have not got through until the engine is paused.
struct CutOffFixture : KeeperFixture {
  CutOffFixture() {
    client.heartbeat = absl::UnavailableError("cut off");
    Pass(absl::Seconds(10));
    for (int second = 11; second <= 25; ++second) {
      CHECK_FALSE(keeper.pause().is_on());
      Pass(absl::Seconds(1));
    }
  }
  // To the next heartbeat and its answer.
  void Pass(absl::Duration time) {
    clock.AwaitWaiters(1);
    clock.Advance(time);
    client.AwaitHeartbeats(++beats);
    clock.AwaitWaiters(1);
  }
  void Answer(absl::Status status) {
    const std::lock_guard lock(client.mutex);
    client.heartbeat = std::move(status);
  }
  void AwaitKill() {
    std::mutex mutex;
    std::condition_variable killed;
    const std::stop_callback on_kill(keeper.kill(), [&] {
      const std::lock_guard lock(mutex);
      killed.notify_all();
    });
    std::unique_lock lock(mutex);
    killed.wait(lock, [&] { return keeper.kill().stop_requested(); });
  }

  int beats = 0;
  LeaseKeeper keeper{client, clock, lease, absl::Seconds(30), clock.MonotonicNow()};
};

TEST_CASE("the engine is paused before the server may think the lease expired") {
  CutOffFixture fixture;
  CHECK(fixture.keeper.pause().is_on());
  CHECK_FALSE(fixture.keeper.kill().stop_requested());
  CHECK(fixture.keeper.cause() == StopCause::kNone);
}

TEST_CASE("a paused engine goes on when the lease still holds after an outage") {
  CutOffFixture fixture;
  for (int second = 26; second < 120; ++second) fixture.Pass(absl::Seconds(1));
  CHECK(fixture.keeper.pause().is_on());
  fixture.Answer(absl::OkStatus());
  fixture.Pass(absl::Seconds(1));
  CHECK_FALSE(fixture.keeper.pause().is_on());
  CHECK_FALSE(fixture.keeper.kill().stop_requested());
}

TEST_CASE("a paused engine is killed when the lease was given to another") {
  CutOffFixture fixture;
  fixture.Answer(absl::FailedPreconditionError("lost"));
  fixture.clock.Advance(absl::Seconds(1));
  fixture.AwaitKill();
  CHECK(fixture.keeper.cause() == StopCause::kLeaseLost);
}

TEST_CASE("a paused engine is killed when nobody can be asked for ten minutes") {
  CutOffFixture fixture;
  fixture.clock.Advance(absl::Minutes(10) + absl::Seconds(5));
  fixture.AwaitKill();
  CHECK(fixture.keeper.cause() == StopCause::kLeaseLost);
}

}  // namespace
}  // namespace coder::provisionerd
