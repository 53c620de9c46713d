#include "services/provisionerd/job_loop.h"

#include <algorithm>
#include <random>
#include <utility>

#include "libs/server/log.h"

namespace coder::provisionerd {
namespace {

constexpr absl::Duration kMinBackoff = absl::Milliseconds(200);
constexpr absl::Duration kMaxBackoff = absl::Seconds(10);

absl::Duration Jittered(absl::Duration backoff) {
  thread_local std::minstd_rand random{std::random_device{}()};
  return backoff * std::uniform_real_distribution<double>(0.5, 1.0)(random);
}

const char* WorkName(const Job& job) {
  const auto* build = std::get_if<BuildRequest>(&job.work);
  if (build == nullptr) return "import";
  switch (build->transition) {
    case Transition::kStart:
      return "start";
    case Transition::kStop:
      return "stop";
    case Transition::kDelete:
      return "delete";
  }
  return "import";
}

}  // namespace

JobLoop::JobLoop(std::shared_ptr<grpc::Channel> channel, server::Secret key,
                 DaemonIdentity identity, const JobEnvironment& environment, clock::Clock& clock,
                 prometheus::Registry& registry)
    : channel_(std::move(channel)),
      key_(std::move(key)),
      identity_(std::move(identity)),
      environment_(environment),
      clock_(clock),
      metrics_(registry, identity_.slots),
      connection_(absl::UnavailableError("not connected to coderd-api yet")) {}

JobLoop::~JobLoop() { Stop(); }

absl::Status JobLoop::Start() {
  thread_ = std::jthread([this](std::stop_token stop) { Run(std::move(stop)); });
  return absl::OkStatus();
}

absl::Status JobLoop::Connected() const {
  const std::lock_guard lock(mutex_);
  return connection_;
}

JobLoopView JobLoop::View() const {
  const absl::Duration now = clock_.MonotonicNow();
  const std::lock_guard lock(mutex_);
  JobLoopView view{.slots = identity_.slots,
                   .waiting = outstanding_,
                   .draining = draining_,
                   .connection = connection_};
  for (const auto& job : jobs_) {
    if (job->done) continue;
    view.running.push_back(
        {job->job_id, job->provisioner, job->work, job->phase.Get(), now - job->acquired_at});
  }
  return view;
}

void JobLoop::SetConnection(absl::Status status) {
  const std::lock_guard lock(mutex_);
  connection_ = std::move(status);
}

void JobLoop::Run(std::stop_token stop) {
  absl::Duration backoff = kMinBackoff;
  while (!stop.stop_requested()) {
    const absl::Status status = Serve(stop);
    const bool was_welcome = [this] {
      const std::lock_guard lock(mutex_);
      return std::exchange(welcome_, false);
    }();
    SetConnection(status.ok() ? absl::UnavailableError("the stream ended; reconnecting") : status);
    if (stop.stop_requested()) return;
    if (!status.ok()) log::Warn("acquire stream ended; reconnecting", {{"error", status}});
    backoff = was_welcome ? kMinBackoff : std::min(backoff * 2, kMaxBackoff);
    clock_.Wait(Jittered(backoff), stop);
  }
}

absl::Status JobLoop::Serve(std::stop_token stop) {
  const auto stream = std::make_shared<AcquireStream>(channel_, key_, identity_);
  {
    const std::lock_guard lock(mutex_);
    stream_ = stream;
    outstanding_ = 0;
  }
  const std::stop_callback on_stop(stop, [stream] { stream->Cancel(); });
  AcquireListener listener;
  listener.on_welcome = [this] {
    log::Info("ready for jobs", {{"name", identity_.name}, {"slots", identity_.slots}});
    SetConnection(absl::OkStatus());
    std::unique_lock lock(mutex_);
    welcome_ = true;
    AskForFreeSlots(lock);
  };
  listener.on_job = [this](Job job) { OnJob(std::move(job)); };
  listener.on_withdrawn = [this] {
    const std::lock_guard lock(mutex_);
    --outstanding_;
    idle_.notify_all();
  };
  const absl::Status status = stream->Read(listener);
  const std::lock_guard lock(mutex_);
  stream_ = nullptr;
  outstanding_ = 0;
  idle_.notify_all();
  return status;
}

void JobLoop::AskForFreeSlots(std::unique_lock<std::mutex>& lock) {
  while (!draining_ && welcome_ && stream_ && running_ + outstanding_ < identity_.slots) {
    const std::shared_ptr<AcquireStream> stream = stream_;
    ++outstanding_;
    lock.unlock();
    const bool sent = stream->RequestJob();
    lock.lock();
    if (!sent) return;
  }
}

void JobLoop::OnJob(Job job) {
  // The message was under way for less than this thread took to read it; the heartbeat that follows
  // corrects what is left of the error.
  const absl::Duration acquired_at = clock_.MonotonicNow();
  JoinFinished();
  std::unique_lock lock(mutex_);
  --outstanding_;
  if (draining_) {
    lock.unlock();
    idle_.notify_all();
    const absl::Status released = environment_.client->Release(job.lease);
    log::Info("gave a job back while draining",
              {{"job_id", job.lease.job_id}, {"result", released}});
    return;
  }
  ++running_;
  metrics_.SetRunning(running_);
  RunningJob& running = *jobs_.emplace_back(std::make_unique<RunningJob>());
  running.job_id = job.lease.job_id;
  running.provisioner = job.provisioner;
  running.work = WorkName(job);
  running.acquired_at = acquired_at;
  running.thread = std::jthread(
      [this, &running, job = std::move(job), acquired_at] { RunOne(running, job, acquired_at); });
}

void JobLoop::RunOne(RunningJob& running, const Job& job, absl::Duration acquired_at) {
  log::Info("job started", {{"job_id", job.lease.job_id}, {"provisioner", job.provisioner}});
  const JobEnd end =
      RunJob(environment_, job, acquired_at, interrupt_jobs_.get_token(), running.phase);
  const absl::Duration took = clock_.MonotonicNow() - acquired_at;
  log::Info("job ended",
            {{"job_id", job.lease.job_id}, {"end", JobEndName(end)}, {"seconds", took}});
  metrics_.Record(job.provisioner, JobEndName(end), took);
  std::unique_lock lock(mutex_);
  --running_;
  metrics_.SetRunning(running_);
  AskForFreeSlots(lock);
  running.done = true;
  idle_.notify_all();
}

void JobLoop::JoinFinished() {
  std::vector<std::unique_ptr<RunningJob>> finished;
  const std::lock_guard lock(mutex_);
  const auto first =
      std::partition(jobs_.begin(), jobs_.end(), [](const auto& job) { return !job->done.load(); });
  std::move(first, jobs_.end(), std::back_inserter(finished));
  jobs_.erase(first, jobs_.end());
}

void JobLoop::Drain(absl::Duration budget) {
  std::unique_lock lock(mutex_);
  draining_ = true;
  const std::shared_ptr<AcquireStream> stream = stream_;
  lock.unlock();
  if (stream) stream->Withdraw();
  lock.lock();
  // The rest of the budget is for what an interrupted engine still has to say.
  const absl::Duration patience = budget * 0.75;
  const auto quiet = [this] { return running_ == 0 && (outstanding_ == 0 || !stream_); };
  if (!idle_.wait_for(lock, absl::ToChronoMilliseconds(patience), quiet)) {
    log::Warn("interrupting jobs that did not end within the drain time", {{"jobs", running_}});
    lock.unlock();
    interrupt_jobs_.request_stop();
    lock.lock();
    idle_.wait_for(lock, absl::ToChronoMilliseconds(budget - patience), quiet);
  }
}

void JobLoop::Stop() {
  interrupt_jobs_.request_stop();
  if (thread_.joinable()) {
    thread_.request_stop();
    thread_.join();
  }
  const std::lock_guard lock(mutex_);
  for (const auto& job : jobs_) {
    if (!job->done.load()) log::Error("a job is abandoned: it did not end in time", {});
  }
}

}  // namespace coder::provisionerd
