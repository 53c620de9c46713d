#include "services/coderd-api/stream_job_logs_reactor.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/auth/policy.h"
#include "libs/server/grpc_status.h"
#include "libs/status/status_macros.h"
#include "services/coderd-api/proto_convert_job.h"
#include "services/coderd-api/proto_convert_job_view.h"

namespace coder::api {
namespace {

constexpr char kMethod[] = "/coder.api.v1.BuildService/StreamJobLogs";
constexpr int kLinesAtOnce = 256;

class Reactor;

// A call's state, which a parked entry may hold longer than gRPC holds the reactor. One step at a
// time: a look at the log, a write, or parked.
class Follower final : public LogFollower, public std::enable_shared_from_this<Follower> {
 public:
  Follower(StreamJobLogsParts& parts, grpc::CallbackServerContext* context, Reactor* reactor,
           const v1::StreamJobLogsRequest& request)
      : parts_(parts), context_(context), reactor_(reactor), request_(request) {}

  void Begin();
  void LookAgain() override;
  void OnWritten(bool ok);
  void OnCanceled();

 private:
  enum class Step { kBusy, kParked, kEnded };

  void Post();
  void Look();
  absl::StatusOr<bool> Read();
  absl::Status Authorize(const storage::JobView& job, const CallContext& call) const;
  void Park();
  void End(const absl::Status& status);

  StreamJobLogsParts& parts_;
  grpc::CallbackServerContext* const context_;
  Reactor* const reactor_;
  const v1::StreamJobLogsRequest request_;
  // Only the step in progress touches these.
  lifecycle::JobId job_;
  int64_t after_id_ = 0;
  bool last_ = false;
  v1::StreamJobLogsResponse response_;

  std::mutex mutex_;
  // Guarded by mutex_.
  Step step_ = Step::kBusy;
  bool canceled_ = false;
  bool again_ = false;
};

class Reactor final : public StreamJobLogsReactorBase {
 public:
  Reactor(StreamJobLogsParts& parts, grpc::CallbackServerContext* context,
          const v1::StreamJobLogsRequest& request)
      : follower_(std::make_shared<Follower>(parts, context, this, request)) {
    follower_->Begin();
  }

  void OnWriteDone(bool ok) override { follower_->OnWritten(ok); }
  void OnCancel() override { follower_->OnCanceled(); }
  void OnDone() override { delete this; }

  void FinishWith(const absl::Status& status) { Finish(server::ToGrpcStatus(status)); }

 private:
  const std::shared_ptr<Follower> follower_;
};

void Follower::Begin() {
  after_id_ = request_.after_id();
  const auto job = lifecycle::JobId::Parse(request_.job_id());
  if (!job.ok()) return End(job.status());
  job_ = *job;
  Post();
}

void Follower::Post() {
  if (parts_.work.Post([self = shared_from_this()] { self->Look(); })) return;
  End(absl::ResourceExhaustedError("follow log: too many readers at once; try again"));
}

void Follower::LookAgain() {
  {
    const std::lock_guard lock(mutex_);
    if (step_ == Step::kBusy) again_ = true;
    if (step_ != Step::kParked) return;
    step_ = Step::kBusy;
  }
  Post();
}

void Follower::Look() {
  const absl::StatusOr<bool> found = Read();
  if (!found.ok()) return End(found.status());
  if (!*found) return Park();
  reactor_->StartWrite(&response_);
}

// True when there is something to send.
absl::StatusOr<bool> Follower::Read() {
  {
    const std::lock_guard lock(mutex_);
    again_ = false;
    if (canceled_) return absl::CancelledError("follow log: the caller went away");
  }
  if (parts_.followers.draining()) {
    return absl::UnavailableError(
        absl::StrCat("follow log: this server goes away; go on after line ", after_id_));
  }
  ASSIGN_OR_RETURN(const CallContext call, parts_.gate.Admit(*context_, kMethod));
  // The job first: once it has ended, what is then in its log is all there will be.
  const auto job = parts_.store.GetJob(job_, call.deadline);
  if (absl::IsNotFound(job.status())) return auth::NotFound(absl::StrCat("job ", job_.ToString()));
  RETURN_IF_ERROR(job.status());
  RETURN_IF_ERROR(Authorize(*job, call));
  ASSIGN_OR_RETURN(const std::vector<storage::StoredLogLine> lines,
                   parts_.store.ReadLogs(job_, after_id_, kLinesAtOnce, call.deadline));
  response_.Clear();
  for (const storage::StoredLogLine& line : lines) {
    FillProto(line, *response_.add_logs());
    after_id_ = line.id;
  }
  const bool all = static_cast<int>(lines.size()) < kLinesAtOnce;
  if (all && (lifecycle::IsFinal(job->status) || !request_.follow())) {
    *response_.mutable_job() = JobViewToProto(*job);
    last_ = true;
  }
  return last_ || !lines.empty();
}

absl::Status Follower::Authorize(const storage::JobView& job, const CallContext& call) const {
  const std::string words = absl::StrCat("job ", job_.ToString());
  if (job.build) {
    return call.Authorize(auth::Action::kReadWorkspace,
                          {.organization_id = job.organization, .owner_id = job.owner}, words);
  }
  return call.Authorize(auth::Action::kReadTemplate, {.organization_id = job.organization}, words);
}

void Follower::Park() {
  bool look = false;
  {
    const std::lock_guard lock(mutex_);
    look = again_ || canceled_;
    if (!look) step_ = Step::kParked;
  }
  if (look) return Post();
  parts_.followers.Park(job_, shared_from_this());
}

void Follower::OnWritten(bool ok) {
  if (!ok) return End(absl::CancelledError("follow log: the caller went away"));
  if (last_) return End(absl::OkStatus());
  Post();
}

void Follower::OnCanceled() {
  {
    const std::lock_guard lock(mutex_);
    canceled_ = true;
    if (step_ != Step::kParked) return;
    step_ = Step::kBusy;
  }
  End(absl::CancelledError("follow log: the caller went away"));
}

void Follower::End(const absl::Status& status) {
  {
    const std::lock_guard lock(mutex_);
    step_ = Step::kEnded;
  }
  reactor_->FinishWith(status);
}

}  // namespace

void LogFollowers::Park(const lifecycle::JobId& job, std::shared_ptr<LogFollower> follower) {
  const std::lock_guard lock(mutex_);
  parked_.emplace(job, std::move(follower));
}

void LogFollowers::Wake(const lifecycle::JobId& job) {
  std::vector<std::shared_ptr<LogFollower>> woken;
  {
    const std::lock_guard lock(mutex_);
    const auto [first, last] = parked_.equal_range(job);
    for (auto entry = first; entry != last; ++entry) woken.push_back(std::move(entry->second));
    parked_.erase(first, last);
  }
  for (const auto& follower : woken) follower->LookAgain();
}

void LogFollowers::WakeAll() {
  std::multimap<lifecycle::JobId, std::shared_ptr<LogFollower>> woken;
  {
    const std::lock_guard lock(mutex_);
    woken.swap(parked_);
  }
  for (const auto& [job, follower] : woken) follower->LookAgain();
}

void LogFollowers::Drain() {
  draining_ = true;
  WakeAll();
}

StreamJobLogsReactorBase* StartStreamJobLogs(StreamJobLogsParts& parts,
                                             grpc::CallbackServerContext* context,
                                             const v1::StreamJobLogsRequest* request) {
  return new Reactor(parts, context, *request);
}

}  // namespace coder::api
