// Commits build transactions as the API does, from many sessions: lock the workspace, number the
// build, write job, build and outbox row, commit, poke.
//
//   write_builds --clients=N --seconds=S
//
// CODER_POSTGRES_URL, of the schema's owner, and CODER_NATS_URL say where; needs the tables
// bench_workspaces (filled), bench_builds and bench_jobs.

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "libs/clock/deadline.h"
#include "libs/clock/system_clock.h"
#include "libs/events/pack.h"
#include "libs/jetstream/connection.h"
#include "libs/jetstream/poke.h"
#include "libs/pg/connection.h"
#include "libs/status/status_macros.h"
#include "tests/bench/arguments.h"
#include "tests/bench/bench_events.h"

namespace coder::bench {
namespace {

constexpr absl::Duration kLimit = absl::Seconds(10);

absl::Status CommitBuild(pg::Connection& database, const std::string& workspace) {
  const auto deadline = clock::Deadline::After(kLimit);
  const clock::SystemClock clock;
  RETURN_IF_ERROR(database.Execute("BEGIN", {}, deadline).status());
  ASSIGN_OR_RETURN(const pg::Result locked,
                   database.Execute("SELECT version FROM bench_workspaces WHERE id = $1 FOR UPDATE",
                                    {workspace}, deadline));
  const int64_t version = locked[0].Get<int64_t>("version") + 1;
  RETURN_IF_ERROR(database
                      .Execute("UPDATE bench_workspaces SET version = $2 WHERE id = $1",
                               {workspace, version}, deadline)
                      .status());
  RETURN_IF_ERROR(database
                      .Execute("INSERT INTO bench_jobs (workspace_id, status) VALUES ($1, 1)",
                               {workspace}, deadline)
                      .status());
  RETURN_IF_ERROR(database
                      .Execute("INSERT INTO bench_builds (workspace_id, number) VALUES ($1, $2)",
                               {workspace, version}, deadline)
                      .status());
  std::string framed;
  events::AppendFramed(MakeEvent(version, clock.Now()), framed);
  RETURN_IF_ERROR(database
                      .Execute("INSERT INTO outbox (workspace_id, workspace_version, payload) "
                               "VALUES ($1, $2, $3)",
                               {workspace, version, pg::Bytea{std::move(framed)}}, deadline)
                      .status());
  return database.Execute("COMMIT", {}, deadline).status();
}

absl::Status WriteUntil(absl::Duration end, std::atomic<int64_t>& committed) {
  ASSIGN_OR_RETURN(auto database,
                   pg::Connection::Open({.conninfo = std::getenv("CODER_POSTGRES_URL"),
                                         .application_name = "write_builds",
                                         .lock_timeout = kLimit}));
  ASSIGN_OR_RETURN(auto nats, jetstream::Connection::Connect(
                                  {.url = std::getenv("CODER_NATS_URL"), .name = "write_builds"}));
  const clock::SystemClock clock;
  std::minstd_rand random(std::random_device{}());
  while (clock.MonotonicNow() < end) {
    RETURN_IF_ERROR(CommitBuild(*database, WorkspaceIdOf(static_cast<int64_t>(random()))));
    ++committed;
    RETURN_IF_ERROR(jetstream::Poke(*nats, jetstream::kOutboxPoke));
  }
  return absl::OkStatus();
}

int Run(const Arguments& arguments) {
  const clock::SystemClock clock;
  const absl::Duration length = absl::Seconds(arguments.Number("seconds", 5));
  const absl::Duration end = clock.MonotonicNow() + length;
  std::atomic<int64_t> committed = 0;
  std::atomic<bool> failed = false;
  std::vector<std::jthread> writers;
  for (int64_t i = 0; i < arguments.Number("clients", 16); ++i) {
    writers.emplace_back([&] {
      const absl::Status status = WriteUntil(end, committed);
      if (status.ok()) return;
      failed = true;
      std::fprintf(stderr, "write_builds: %s\n", status.ToString().c_str());
    });
  }
  writers.clear();
  std::printf("{\"events\": %lld, \"seconds\": %.6f}\n", static_cast<long long>(committed.load()),
              absl::ToDoubleSeconds(clock.MonotonicNow() - end + length));
  return failed ? 1 : 0;
}

}  // namespace
}  // namespace coder::bench

int main(int argc, char** argv) { return coder::bench::Run(coder::bench::Arguments(argc, argv)); }
