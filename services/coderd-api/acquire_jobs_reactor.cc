#include "services/coderd-api/acquire_jobs_reactor.h"

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "libs/failpoint/failpoint.h"
#include "libs/server/grpc_status.h"
#include "libs/server/log.h"
#include "libs/status/status_macros.h"
#include "services/coderd-api/proto_convert_provisioner.h"

namespace coder::api {
namespace {

namespace pb = provisioner::v1;

constexpr char kMethod[] = "/coder.provisioner.v1.ProvisionerService/AcquireJobs";

class Reactor;

// The stream's state, which the dispatcher may hold longer than gRPC holds the reactor.
//
// The reactor lives until Finish was called and its operations have ended. Whoever calls into gRPC
// has taken a hold before, under the lock, and Finish is called only when there is no hold.
class Stream final : public JobReceiver,
                     public AcquireStream,
                     public std::enable_shared_from_this<Stream> {
 public:
  Stream(AcquireJobsParts& parts, grpc::CallbackServerContext* context, Reactor* reactor)
      : parts_(parts), context_(context), reactor_(reactor) {}

  void Begin();
  void OnRead(bool ok);
  void OnWritten(bool ok);

  bool Deliver(const storage::AcquiredJob& job) override;
  void Withdrawn() override;
  lifecycle::ProvisionerDaemonId daemon() const override {
    const std::lock_guard lock(mutex_);
    return daemon_;
  }
  void End(const absl::Status& status) override;
  void Drain() override;

  pb::AcquireJobsRequest request;

 private:
  struct Outgoing {
    pb::AcquireJobsResponse message;
    std::optional<storage::LeaseClaim> job;
  };

  void Open(const pb::AcquireJobsRequest::Hello& hello);
  absl::Status Introduce(const pb::AcquireJobsRequest::Hello& hello);
  void OnAcquire();
  bool Send(Outgoing outgoing);
  void Answered();
  void Read();
  bool Hold();
  void DropHold();

  AcquireJobsParts& parts_;
  grpc::CallbackServerContext* const context_;
  Reactor* const reactor_;

  mutable std::mutex mutex_;
  // All below guarded by mutex_.
  lifecycle::ProvisionerDaemonId daemon_;
  JobDomain domain_;
  int slots_ = 0;
  int outstanding_ = 0;
  std::deque<Outgoing> outgoing_;
  int holds_ = 0;
  bool draining_ = false;
  std::optional<absl::Status> ending_;
  bool finished_ = false;
};

class Reactor final : public AcquireJobsReactorBase {
 public:
  Reactor(AcquireJobsParts& parts, grpc::CallbackServerContext* context)
      : parts_(parts), stream_(std::make_shared<Stream>(parts, context, this)) {
    parts_.streams.Add(stream_);
    stream_->Begin();
  }

  void OnReadDone(bool ok) override { stream_->OnRead(ok); }
  void OnWriteDone(bool ok) override { stream_->OnWritten(ok); }
  void OnCancel() override { stream_->End(absl::CancelledError("the daemon went away")); }
  void OnDone() override {
    parts_.streams.Remove(stream_);
    parts_.dispatcher.Forget(*stream_);
    delete this;
  }

  void FinishWith(const absl::Status& status) { Finish(server::ToGrpcStatus(status)); }

 private:
  AcquireJobsParts& parts_;
  const std::shared_ptr<Stream> stream_;
};

void Stream::Begin() { Read(); }

bool Stream::Hold() {
  const std::lock_guard lock(mutex_);
  if (ending_) return false;
  ++holds_;
  return true;
}

void Stream::DropHold() {
  {
    const std::lock_guard lock(mutex_);
    if (--holds_ > 0 || !ending_ || finished_) return;
    finished_ = true;
  }
  reactor_->FinishWith(*ending_);
}

void Stream::Read() {
  if (!Hold()) return;
  reactor_->StartRead(&request);
  DropHold();
}

void Stream::OnRead(bool ok) {
  if (!ok) {
    // The daemon has said all it will; what it waited for is withdrawn.
    parts_.dispatcher.Forget(*this);
    End(absl::OkStatus());
    return;
  }
  const bool introduced = !daemon().IsNil();
  switch (request.message_case()) {
    case pb::AcquireJobsRequest::kHello:
      if (introduced) return End(absl::InvalidArgumentError("wait for jobs: hello came twice"));
      return Open(request.hello());
    case pb::AcquireJobsRequest::kAcquire:
      if (introduced) return OnAcquire();
      break;
    case pb::AcquireJobsRequest::kWithdraw:
      if (!introduced) break;
      parts_.dispatcher.Withdraw(*this);
      return Read();
    default:
      break;
  }
  End(absl::InvalidArgumentError(
      "wait for jobs: the first message must be hello, the others acquire or withdraw"));
}

void Stream::Open(const pb::AcquireJobsRequest::Hello& hello) {
  if (!Hold()) return;
  const bool posted = parts_.work.Post([self = shared_from_this(), hello] {
    const absl::Status introduced = self->Introduce(hello);
    if (introduced.ok()) {
      self->Read();
    } else {
      self->End(introduced);
    }
    self->DropHold();
  });
  if (posted) return;
  End(absl::ResourceExhaustedError("wait for jobs: too many daemons connect at once; try again"));
  DropHold();
}

absl::Status Stream::Introduce(const pb::AcquireJobsRequest::Hello& hello) {
  ASSIGN_OR_RETURN(const CallContext call, parts_.gate.Admit(*context_, kMethod));
  ASSIGN_OR_RETURN(storage::DaemonHello record, HelloFromProto(hello));
  record.organization = call.caller->organization_id;
  record.key = call.caller->provisioner_key_id;
  record.tags = call.caller->tags;
  ASSIGN_OR_RETURN(const auto id, parts_.store.RecordDaemon(record, call.deadline));
  {
    const std::lock_guard lock(mutex_);
    daemon_ = id;
    slots_ = record.slots;
    domain_ = {record.organization, record.provisioners, record.tags};
  }
  Outgoing welcome;
  pb::AcquireJobsResponse::Welcome* message = welcome.message.mutable_welcome();
  message->set_daemon_id(id.ToString());
  message->set_organization_id(record.organization.ToString());
  message->mutable_tags()->insert(record.tags.begin(), record.tags.end());
  Send(std::move(welcome));
  return absl::OkStatus();
}

void Stream::OnAcquire() {
  JobDomain domain;
  lifecycle::ProvisionerDaemonId daemon;
  {
    const std::lock_guard lock(mutex_);
    domain = domain_;
    daemon = daemon_;
    if (++outstanding_ > slots_) daemon = {};
  }
  if (daemon.IsNil()) {
    return End(absl::InvalidArgumentError(
        "wait for jobs: more acquires are outstanding than the daemon has slots"));
  }
  parts_.dispatcher.Request(domain, daemon, shared_from_this());
  Read();
}

bool Stream::Deliver(const storage::AcquiredJob& job) {
  failpoint::Hit("api.after_acquire");
  absl::StatusOr<pb::Job> message =
      JobToProto(job, parts_.lease, parts_.access_url, parts_.keyring);
  if (!message.ok()) {
    // No daemon could run it: it fails with the reason instead of going round.
    log::Error("open the variables of a job",
               {{"job_id", job.id.ToString()}, {"error", message.status()}});
    const absl::Status failed = parts_.store.FailJob(
        {job.id, job.token, job.organization},
        {"its variables cannot be opened; the deployment's keyring lacks their key",
         "KEYRING_MISMATCH"},
        {}, clock::Deadline::After(absl::Seconds(5)));
    if (!failed.ok()) log::Warn("fail a job", {{"error", failed}});
    Withdrawn();
    return true;
  }
  Outgoing outgoing;
  *outgoing.message.mutable_job() = *std::move(message);
  outgoing.job = {job.id, job.token, job.organization};
  Answered();
  return Send(std::move(outgoing));
}

void Stream::Withdrawn() {
  Outgoing outgoing;
  outgoing.message.mutable_withdrawn();
  Answered();
  Send(std::move(outgoing));
}

void Stream::Answered() {
  const std::lock_guard lock(mutex_);
  --outstanding_;
}

bool Stream::Send(Outgoing outgoing) {
  const pb::AcquireJobsResponse* first = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (ending_) return false;
    outgoing_.push_back(std::move(outgoing));
    if (outgoing_.size() > 1) return true;
    // Held until the last write has ended.
    ++holds_;
    first = &outgoing_.front().message;
  }
  reactor_->StartWrite(first);
  return true;
}

void Stream::OnWritten(bool ok) {
  std::deque<Outgoing> lost;
  const pb::AcquireJobsResponse* next = nullptr;
  bool drained = false;
  {
    const std::lock_guard lock(mutex_);
    if (ok) {
      outgoing_.pop_front();
      if (!outgoing_.empty()) next = &outgoing_.front().message;
      drained = draining_ && next == nullptr;
    } else {
      lost.swap(outgoing_);
    }
  }
  for (const Outgoing& outgoing : lost) {
    if (outgoing.job) parts_.dispatcher.Release(*outgoing.job);
  }
  if (next != nullptr) {
    reactor_->StartWrite(next);
    return;
  }
  if (!ok) End(absl::CancelledError("the daemon went away"));
  if (drained) End(absl::UnavailableError("wait for jobs: this server goes away; reconnect"));
  DropHold();
}

void Stream::End(const absl::Status& status) {
  std::vector<storage::LeaseClaim> unsent;
  {
    const std::lock_guard lock(mutex_);
    if (ending_) return;
    ending_ = status;
    // The first one is being written.
    while (outgoing_.size() > 1) {
      if (outgoing_.back().job) unsent.push_back(*outgoing_.back().job);
      outgoing_.pop_back();
    }
    ++holds_;
  }
  parts_.dispatcher.Forget(*this);
  for (const storage::LeaseClaim& claim : unsent) parts_.dispatcher.Release(claim);
  DropHold();
}

void Stream::Drain() {
  parts_.dispatcher.Withdraw(*this);
  {
    const std::lock_guard lock(mutex_);
    draining_ = true;
  }
  Outgoing outgoing;
  outgoing.message.mutable_drain();
  Send(std::move(outgoing));
}

}  // namespace

AcquireJobsReactorBase* StartAcquireJobs(AcquireJobsParts& parts,
                                         grpc::CallbackServerContext* context) {
  return new Reactor(parts, context);
}

}  // namespace coder::api
