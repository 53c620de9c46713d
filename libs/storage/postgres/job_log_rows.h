#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "libs/pg/transaction.h"
#include "libs/storage/job_records.h"

namespace coder::storage {

/// The words of the log's columns.
std::string ToColumn(LogSource source);
std::string ToColumn(LogLevel level);
LogSource LogSourceFromColumn(absl::string_view word);
LogLevel LogLevelFromColumn(absl::string_view word);

/// Inserts lines in order into a job's log. The caller holds the job's row lock, which is what
/// makes ids follow the order of the log.
absl::Status InsertLogLines(pg::Transaction& transaction, lifecycle::JobId job,
                            const std::vector<JobLogLine>& lines);

}  // namespace coder::storage
