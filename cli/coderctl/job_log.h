#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/coderctl/session.h"

namespace coder::cli {

/// Prints the log of a job to standard error as it comes and waits for the job's end, over dropped
/// connections too. OK when it succeeded; ABORTED with the job's error when it failed or was
/// canceled; errors of the call.
absl::Status FollowJob(const Session& session, const std::string& job_id);

/// Prints what the log holds now to standard output. Errors of the call.
absl::Status PrintJobLog(const Session& session, const std::string& job_id);

/// The last `lines` lines of what the log holds now, a stage's title counting as one. Errors of the
/// call.
absl::StatusOr<std::string> JobLogTail(const Session& session, const std::string& job_id,
                                       size_t lines);

}  // namespace coder::cli
