// Commits benchmark events into the outbox, as the API's transactions do.
//
//   write_events --mode=bulk  --first=I --events=N          as fast as it goes, 5,000 a transaction
//   write_events --mode=paced --first=I --events=N --rate=R one a transaction, each poked;
//                --commits=FILE gets the times of the commits, one int64 of nanoseconds each
//
// CODER_POSTGRES_URL and, for pokes, CODER_NATS_URL say where.

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <stop_token>
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

constexpr int64_t kBatch = 5000;
constexpr absl::Duration kLimit = absl::Seconds(30);

// $1: index of the first. $2: all framed events, one after the other. $3: bytes of each. $4: how
// many. $5: workspaces.
constexpr char kBulk[] = R"sql(
INSERT INTO outbox (workspace_id, workspace_version, payload)
SELECT ('00000000-0000-4000-8000-' || lpad((i % $5::bigint)::text, 12, '0'))::uuid, i / $5::bigint + 1,
  substring($2::bytea FROM ((i - $1::bigint) * $3::bigint + 1)::int FOR $3::int)
FROM generate_series($1::bigint, $1::bigint + $4::bigint - 1) i)sql";

constexpr char kOne[] = R"sql(
INSERT INTO outbox (workspace_id, workspace_version, payload) VALUES ($1, $2, $3))sql";

absl::Status WriteBulk(pg::Connection& database, int64_t first, int64_t events) {
  const clock::SystemClock clock;
  for (int64_t at = first; at < first + events; at += kBatch) {
    const int64_t count = std::min(kBatch, first + events - at);
    std::string framed;
    for (int64_t i = at; i < at + count; ++i) {
      events::AppendFramed(MakeEvent(i, clock.Now()), framed);
    }
    const auto size = static_cast<int64_t>(framed.size()) / count;
    RETURN_IF_ERROR(database
                        .Execute(kBulk,
                                 {at, pg::Bytea{std::move(framed)}, size, count, kWorkspaces},
                                 clock::Deadline::After(kLimit))
                        .status());
  }
  return absl::OkStatus();
}

absl::Status WritePaced(pg::Connection& database, jetstream::Connection* nats,
                        const Arguments& arguments) {
  clock::SystemClock clock;
  const int64_t first = arguments.Number("first");
  const int64_t events = arguments.Number("events");
  const absl::Duration step = absl::Seconds(1) / arguments.Number("rate", 1000);
  const absl::Duration start = clock.MonotonicNow();
  std::vector<int64_t> commits;
  commits.reserve(events);
  for (int64_t i = first; i < first + events; ++i) {
    clock.WaitUntil(start + step * (i - first), std::stop_token());
    std::string framed;
    events::AppendFramed(MakeEvent(i, clock.Now()), framed);
    RETURN_IF_ERROR(
        database
            .Execute(kOne, {WorkspaceIdOf(i), i / kWorkspaces + 1, pg::Bytea{std::move(framed)}},
                     clock::Deadline::After(kLimit))
            .status());
    commits.push_back(absl::ToUnixNanos(clock.Now()));
    if (nats != nullptr) RETURN_IF_ERROR(jetstream::Poke(*nats, jetstream::kOutboxPoke));
  }
  const std::string path = arguments.Text("commits");
  if (path.empty()) return absl::OkStatus();
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(commits.data()),
             static_cast<std::streamsize>(commits.size() * sizeof(int64_t)));
  return file.flush() ? absl::OkStatus() : absl::InternalError("write " + path);
}

absl::Status Run(const Arguments& arguments) {
  const char* url = std::getenv("CODER_POSTGRES_URL");
  if (url == nullptr) return absl::InvalidArgumentError("CODER_POSTGRES_URL is not set");
  ASSIGN_OR_RETURN(auto database, pg::Connection::Open({.conninfo = url,
                                                        .application_name = "write_events",
                                                        .statement_timeout = kLimit}));
  std::unique_ptr<jetstream::Connection> nats;
  if (const char* address = std::getenv("CODER_NATS_URL")) {
    ASSIGN_OR_RETURN(nats,
                     jetstream::Connection::Connect({.url = address, .name = "write_events"}));
  }
  const clock::SystemClock clock;
  const absl::Duration began = clock.MonotonicNow();
  const int64_t events = arguments.Number("events");
  RETURN_IF_ERROR(arguments.Text("mode") == "paced"
                      ? WritePaced(*database, nats.get(), arguments)
                      : WriteBulk(*database, arguments.Number("first"), events));
  std::printf("{\"events\": %lld, \"seconds\": %.6f}\n", static_cast<long long>(events),
              absl::ToDoubleSeconds(clock.MonotonicNow() - began));
  return absl::OkStatus();
}

}  // namespace
}  // namespace coder::bench

int main(int argc, char** argv) {
  const absl::Status status = coder::bench::Run(coder::bench::Arguments(argc, argv));
  if (!status.ok()) std::fprintf(stderr, "write_events: %s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
