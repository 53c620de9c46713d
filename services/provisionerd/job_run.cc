#include "services/provisionerd/job_run.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/archive/template_archive.h"
#include "libs/clock/deadline.h"
#include "libs/failpoint/failpoint.h"
#include "libs/server/log.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"
#include "services/provisionerd/lease_keeper.h"
#include "services/provisionerd/log_sender.h"

namespace coder::provisionerd {
namespace {

constexpr absl::Duration kRetry = absl::Seconds(1);
constexpr absl::Duration kLogBudget = absl::Seconds(10);
constexpr char kSettingUp[] = "Setting up";
constexpr char kCleaningUp[] = "Cleaning Up";

// UNKNOWN: the database was lost while it committed. CANCELLED: gRPC drops what reaches an API that
// is about to leave. Every call under a lease may be repeated.
bool IsTransient(const absl::Status& status) {
  return status.code() == absl::StatusCode::kUnavailable ||
         status.code() == absl::StatusCode::kDeadlineExceeded ||
         status.code() == absl::StatusCode::kUnknown ||
         status.code() == absl::StatusCode::kCancelled;
}

/// A job's private directory: `template` for the archive, `work` for the engine.
class JobDirectory {
 public:
  static absl::StatusOr<JobDirectory> Create(const std::string& root, const std::string& job_id) {
    // Ids begin with the time; their ends differ. Short, because providers put sockets below.
    const std::filesystem::path path =
        std::filesystem::path(root) /
        job_id.substr(job_id.size() - std::min<size_t>(12, job_id.size()));
    std::error_code error;
    std::filesystem::remove_all(path, error);
    for (const char* child : {"template", "work"}) {
      if (!error) std::filesystem::create_directories(path / child, error);
    }
    if (!error) {
      std::filesystem::permissions(path, std::filesystem::perms::owner_all, error);
    }
    if (error) {
      return absl::InternalError(
          absl::StrCat("create the job's directory ", path.string(), ": ", error.message()));
    }
    return JobDirectory(path);
  }
  JobDirectory(JobDirectory&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  JobDirectory& operator=(JobDirectory&&) = delete;
  ~JobDirectory() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }

  std::string template_dir() const { return path_ / "template"; }
  std::string work_dir() const { return path_ / "work"; }

 private:
  explicit JobDirectory(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

/// One job on its way; the steps of RunJob share it.
class JobRun {
 public:
  JobRun(const JobEnvironment& environment, const Job& job, absl::Duration acquired_at,
         JobPhase& phase)
      : environment_(environment),
        client_(*environment.client),
        clock_(*environment.clock),
        job_(job),
        phase_(phase),
        logs_(client_, clock_, job.lease),
        keeper_(client_, clock_, job.lease, job.lease_duration, acquired_at) {}

  JobEnd Run(std::stop_token drain) {
    const std::stop_callback on_drain(std::move(drain), [this] { keeper_.Drain(); });
    timings_.start = clock_.Now();
    const absl::Status status = Work();
    phase_.Set(kCleaningUp);
    if (!status.ok()) logs_.Say(kCleaningUp, LogLevel::kError, std::string(status.message()));
    logs_.Close(kLogBudget);
    return Report(status);
  }

 private:
  absl::Status Work() {
    phase_.Set(kSettingUp);
    logs_.Say(kSettingUp, LogLevel::kInfo, "fetching the template");
    const auto engine = environment_.engines.find(job_.provisioner);
    if (engine == environment_.engines.end()) {
      return status::WithReason(absl::FailedPreconditionError(absl::StrCat(
                                    "this daemon does not run '", job_.provisioner, "'")),
                                "UNKNOWN_PROVISIONER");
    }
    ASSIGN_OR_RETURN(JobDirectory directory,
                     JobDirectory::Create(environment_.work_root, job_.lease.job_id));
    RETURN_IF_ERROR(FetchTemplate(directory.template_dir()));
    EngineContext context;
    context.log = [this](const EngineLogLine& line) {
      phase_.Set(line.stage);
      logs_.Add(line);
    };
    context.interrupt = keeper_.interrupt();
    context.kill = keeper_.kill();
    context.pause = &keeper_.pause();
    context.work_dir = directory.work_dir();
    if (std::holds_alternative<ImportRequest>(job_.work)) {
      return Import(*engine->second, context, directory.template_dir());
    }
    return Build(*engine->second, context, directory.template_dir());
  }

  absl::Status FetchTemplate(const std::string& directory) {
    ASSIGN_OR_RETURN(std::string archive,
                     Retry<std::string>([this] { return client_.DownloadSource(job_.lease); }));
    const auto extracted = archive::ExtractTemplateArchive(archive, directory);
    if (!extracted.ok()) return status::WithReason(extracted.status(), "ARCHIVE_REFUSED");
    return absl::OkStatus();
  }

  absl::Status Import(Engine& engine, const EngineContext& context, const std::string& directory) {
    ImportRequest request = std::get<ImportRequest>(job_.work);
    request.template_dir = directory;
    ASSIGN_OR_RETURN(import_, engine.Import(request, context));
    timings_.stages = import_->timings;
    return absl::OkStatus();
  }

  absl::Status Build(Engine& engine, const EngineContext& context, const std::string& directory) {
    BuildRequest request = std::get<BuildRequest>(job_.work);
    request.template_dir = directory;
    ASSIGN_OR_RETURN(request.previous_state,
                     Retry<std::string>([this] { return client_.DownloadState(job_.lease); }));
    failpoint::Hit("provisionerd.before_apply");
    ASSIGN_OR_RETURN(BuildResult result, engine.Build(request, context));
    failpoint::Hit("provisionerd.after_apply");
    timings_.stages = result.timings;
    // Before anything is said about the outcome: infrastructure without its state is lost.
    if (result.state) RETURN_IF_ERROR(UploadState(*result.state));
    resources_ = std::move(result.resources);
    return result.outcome;
  }

  absl::Status UploadState(const std::string& state) {
    const auto late = Retry<bool>([&] { return client_.UploadState(job_.lease, state); });
    if (!late.ok()) {
      log::Error(
          "the state of a build could not be stored",
          {{"job_id", job_.lease.job_id}, {"bytes", state.size()}, {"error", late.status()}});
      return status::Prefix(late.status(), "store the state");
    }
    if (*late)
      log::Warn("state stored late, after the lease was lost", {{"job_id", job_.lease.job_id}});
    return absl::OkStatus();
  }

  JobEnd Report(const absl::Status& outcome) {
    if (keeper_.cause() == StopCause::kLeaseLost) return JobEnd::kLeaseLost;
    failpoint::Hit("provisionerd.before_report");
    const absl::Status reported = outcome.ok() ? ReportSuccess() : ReportFailure(Failure(outcome));
    if (!reported.ok()) {
      log::Warn("the result of a job was not accepted",
                {{"job_id", job_.lease.job_id}, {"error", reported}});
      return JobEnd::kLeaseLost;
    }
    if (outcome.ok()) return JobEnd::kSucceeded;
    return keeper_.cause() == StopCause::kCancel ? JobEnd::kCanceled : JobEnd::kFailed;
  }

  absl::Status ReportSuccess() {
    return RetryStatus([this] {
      return import_ ? client_.CompleteImport(job_.lease, *import_, timings_)
                     : client_.CompleteBuild(job_.lease, resources_, timings_);
    });
  }

  absl::Status ReportFailure(const JobFailure& failure) {
    return RetryStatus([&] { return client_.Fail(job_.lease, failure, timings_); });
  }

  JobFailure Failure(const absl::Status& outcome) const {
    switch (keeper_.cause()) {
      case StopCause::kCancel:
        return {"canceled", "CANCELED", /*canceled=*/true};
      case StopCause::kDrain:
        return {"interrupted: the provisioner daemon was shut down; start the build again",
                "INTERRUPTED"};
      case StopCause::kNone:
      case StopCause::kLeaseLost:
        break;
    }
    const auto reason = status::ReasonOf(outcome);
    const bool templates_fault = outcome.code() == absl::StatusCode::kFailedPrecondition ||
                                 outcome.code() == absl::StatusCode::kInvalidArgument;
    return {std::string(outcome.message()).substr(0, 1024),
            reason ? reason->reason : (templates_fault ? "ENGINE_FAILED" : "INTERNAL")};
  }

  /// Repeats a call while the API is away, for at most the report budget.
  template <typename T>
  absl::StatusOr<T> Retry(const std::function<absl::StatusOr<T>()>& call) {
    const auto deadline = clock::Deadline::After(environment_.report_budget);
    while (true) {
      absl::StatusOr<T> result = call();
      if (result.ok() || !IsTransient(result.status()) || deadline.Expired()) return result;
      clock_.Wait(kRetry, std::stop_token());
    }
  }

  absl::Status RetryStatus(const std::function<absl::Status()>& call) {
    return Retry<bool>([&call]() -> absl::StatusOr<bool> {
             RETURN_IF_ERROR(call());
             return true;
           })
        .status();
  }

  const JobEnvironment& environment_;
  JobClient& client_;
  clock::Clock& clock_;
  const Job& job_;
  JobPhase& phase_;
  std::optional<ImportResult> import_;
  std::vector<Resource> resources_;
  JobTimings timings_;
  LogSender logs_;
  LeaseKeeper keeper_;
};

}  // namespace

std::string_view JobEndName(JobEnd end) {
  switch (end) {
    case JobEnd::kSucceeded:
      return "succeeded";
    case JobEnd::kFailed:
      return "failed";
    case JobEnd::kCanceled:
      return "canceled";
    case JobEnd::kLeaseLost:
      return "lease_lost";
  }
  return "unknown";
}

JobEnd RunJob(const JobEnvironment& environment, const Job& job, absl::Duration acquired_at,
              std::stop_token drain, JobPhase& phase) {
  return JobRun(environment, job, acquired_at, phase).Run(std::move(drain));
}

}  // namespace coder::provisionerd
