#include "cli/coderctl/job_log.h"

#include <iostream>
#include <ostream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "cli/coderctl/lookup.h"
#include "cli/coderctl/output.h"
#include "coder/api/v1/build.grpc.pb.h"
#include "libs/status/error_reason.h"

namespace coder::cli {
namespace {

using api::v1::BuildService;

constexpr int kMostReconnects = 5;

/// Where a log has been read to, and the stage last printed.
struct LogCursor {
  int64_t after_id = 0;
  std::string stage;
  api::v1::ProvisionerJob job;
};

void PrintLine(std::ostream& out, const api::v1::JobLog& log, LogCursor& cursor) {
  if (log.stage() != cursor.stage) {
    cursor.stage = log.stage();
    out << "== " << Printable(log.stage()) << "\n";
  }
  const char* mark = log.level() == api::v1::LOG_LEVEL_ERROR  ? "error: "
                     : log.level() == api::v1::LOG_LEVEL_WARN ? "warning: "
                                                              : "";
  out << "   " << mark << Printable(log.output()) << std::endl;
}

grpc::Status ReadLog(const Session& session, const std::string& job_id, bool follow,
                     std::ostream& out, LogCursor& cursor) {
  const auto stub = BuildService::NewStub(session.channel());
  grpc::ClientContext context;
  session.PrepareStream(context);
  api::v1::StreamJobLogsRequest request;
  request.set_job_id(job_id);
  request.set_after_id(cursor.after_id);
  request.set_follow(follow);
  const auto reader = stub->StreamJobLogs(&context, request);
  api::v1::StreamJobLogsResponse response;
  while (reader->Read(&response)) {
    for (const auto& log : response.logs()) {
      PrintLine(out, log, cursor);
      cursor.after_id = log.id();
    }
    if (response.has_job()) cursor.job = response.job();
  }
  return reader->Finish();
}

}  // namespace

absl::Status FollowJob(const Session& session, const std::string& job_id) {
  LogCursor cursor;
  grpc::Status status;
  for (int attempt = 0; attempt <= kMostReconnects; ++attempt) {
    status = ReadLog(session, job_id, /*follow=*/true, std::cerr, cursor);
    if (status.error_code() != grpc::StatusCode::UNAVAILABLE) break;
    std::cerr << "   (connection lost; continuing where the log was)\n";
  }
  if (!status.ok()) return server::StatusFromGrpc(status);
  if (cursor.job.status() == events::v1::JOB_STATUS_SUCCEEDED) return absl::OkStatus();
  const std::string error = cursor.job.error().empty() ? "" : ": " + cursor.job.error();
  return status::WithReason(
      absl::AbortedError(
          absl::StrCat("job ", job_id, " ", JobStatusName(cursor.job.status()), error)),
      cursor.job.error_code().empty() ? "JOB_NOT_SUCCEEDED" : cursor.job.error_code());
}

absl::Status PrintJobLog(const Session& session, const std::string& job_id) {
  LogCursor cursor;
  const grpc::Status status = ReadLog(session, job_id, /*follow=*/false, std::cout, cursor);
  return status.ok() ? absl::OkStatus() : server::StatusFromGrpc(status);
}

absl::StatusOr<std::string> JobLogTail(const Session& session, const std::string& job_id,
                                       size_t lines) {
  LogCursor cursor;
  std::ostringstream out;
  const grpc::Status status = ReadLog(session, job_id, /*follow=*/false, out, cursor);
  if (!status.ok()) return server::StatusFromGrpc(status);
  const std::string text = out.str();
  size_t begin = text.size();
  for (size_t left = lines; left > 0 && begin > 0; --left) {
    const size_t end_before = begin >= 2 ? text.rfind('\n', begin - 2) : std::string::npos;
    begin = end_before == std::string::npos ? 0 : end_before + 1;
  }
  return text.substr(begin);
}

}  // namespace coder::cli
