#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/pg/transaction.h"
#include "libs/status/status_macros.h"
#include "libs/storage/postgres/job_log_rows.h"
#include "libs/storage/postgres/job_rows.h"
#include "libs/storage/postgres/pg_job_store.h"

namespace coder::storage {
namespace {

constexpr std::array<const char*, 2> kSources = {"provisioner_daemon", "provisioner"};
constexpr std::array<const char*, 5> kLevels = {"trace", "debug", "info", "warn", "error"};

constexpr char kLockLogs[] = R"sql(
  SELECT logs_count, logs_length, logs_overflowed FROM provisioner_jobs
  WHERE id = $1 AND organization_id = $2 AND lease_token = $3 AND completed_at IS NULL
  FOR UPDATE)sql";

constexpr char kCountLogs[] = R"sql(
  UPDATE provisioner_jobs SET logs_count = $2, logs_length = $3, logs_overflowed = $4
  WHERE id = $1)sql";

constexpr char kInsertLogs[] = R"sql(
  INSERT INTO provisioner_job_logs (job_id, created_at, source, level, stage, output)
  SELECT $1, l.created_at, l.source, l.level, l.stage, l.output
  FROM unnest($2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[])
    WITH ORDINALITY AS l (created_at, source, level, stage, output, number)
  ORDER BY l.number)sql";

template <size_t N>
size_t IndexOf(const std::array<const char*, N>& words, absl::string_view word) {
  for (size_t i = 0; i < N; ++i) {
    if (word == words[i]) return i;
  }
  return 0;
}

// What a job's log holds, and which of further lines still fit.
struct LogBudget {
  int64_t count = 0;
  int32_t length = 0;
  bool overflowed = false;

  std::vector<JobLogLine> Take(const std::vector<JobLogLine>& lines, size_t skip) {
    std::vector<JobLogLine> fitting;
    for (size_t i = skip; i < lines.size(); ++i) {
      ++count;
      if (overflowed) continue;
      const int32_t bytes = static_cast<int32_t>(lines[i].output.size());
      if (bytes <= kMaxJobLogBytes - length) {
        length += bytes;
        fitting.push_back(lines[i]);
        continue;
      }
      overflowed = true;
      fitting.push_back({.time = lines[i].time,
                         .source = LogSource::kProvisionerDaemon,
                         .level = LogLevel::kWarn,
                         .stage = lines[i].stage,
                         .output = "The log has reached 1 MiB; further output is dropped."});
    }
    return fitting;
  }
};

absl::StatusOr<AppendOutcome> Append(pg::Transaction& transaction, const LeaseClaim& claim,
                                     int64_t first_line, const std::vector<JobLogLine>& lines) {
  ASSIGN_OR_RETURN(
      const pg::Result rows,
      transaction.Execute(kLockLogs, {claim.job.ToString(), claim.organization.ToString(),
                                      claim.token.ToString()}));
  if (rows.empty()) return LeaseLost("append logs of job", claim);
  LogBudget budget{rows.Get<int64_t>(0, "logs_count"), rows.Get<int32_t>(0, "logs_length"),
                   rows.Get<bool>(0, "logs_overflowed")};
  if (first_line > budget.count) {
    return absl::OutOfRangeError(absl::StrCat("append logs of job ", claim.job.ToString(),
                                              ": the first line is ", first_line, " but only ",
                                              budget.count, " were sent; send from there"));
  }
  const int64_t known = budget.count - first_line;
  const size_t skip = static_cast<size_t>(std::min<int64_t>(known, lines.size()));
  const std::vector<JobLogLine> fitting = budget.Take(lines, skip);
  if (skip < lines.size()) {
    RETURN_IF_ERROR(InsertLogLines(transaction, claim.job, fitting));
    RETURN_IF_ERROR(transaction
                        .Execute(kCountLogs, {claim.job.ToString(), budget.count, budget.length,
                                              budget.overflowed})
                        .status());
  }
  return AppendOutcome{.overflowed = budget.overflowed};
}

}  // namespace

std::string ToColumn(LogSource source) { return kSources[static_cast<size_t>(source)]; }
std::string ToColumn(LogLevel level) { return kLevels[static_cast<size_t>(level)]; }

LogSource LogSourceFromColumn(absl::string_view word) {
  return static_cast<LogSource>(IndexOf(kSources, word));
}

LogLevel LogLevelFromColumn(absl::string_view word) {
  return static_cast<LogLevel>(IndexOf(kLevels, word));
}

absl::Status InsertLogLines(pg::Transaction& transaction, lifecycle::JobId job,
                            const std::vector<JobLogLine>& lines) {
  if (lines.empty()) return absl::OkStatus();
  std::vector<absl::Time> times;
  std::vector<std::string> sources, levels, stages, outputs;
  for (const JobLogLine& line : lines) {
    times.push_back(line.time);
    sources.push_back(ToColumn(line.source));
    levels.push_back(ToColumn(line.level));
    stages.push_back(line.stage);
    outputs.push_back(line.output);
  }
  return transaction.Execute(kInsertLogs, {job.ToString(), times, sources, levels, stages, outputs})
      .status();
}

absl::StatusOr<AppendOutcome> PgJobStore::AppendLogs(const LeaseClaim& claim, int64_t first_line,
                                                     const std::vector<JobLogLine>& lines,
                                                     clock::Deadline deadline) {
  return pg::RunInTransaction(pool_, {.deadline = deadline}, [&](pg::Transaction& transaction) {
    return Append(transaction, claim, first_line, lines);
  });
}

}  // namespace coder::storage
