// Provisioners that take jobs and complete them at once.
//
//   take_jobs --address=HOST:PORT --daemons=N --jobs=M
//
// Each has one slot, its own connection and its own stream. CODER_PROVISIONER_KEY is their key.
// When all are connected they begin; prints the jobs, each of which was handed out once, and the
// seconds from then to the last completion. A refused call ends it without a result.

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "coder/provisioner/v1/provisioner.grpc.pb.h"
#include "libs/clock/system_clock.h"
#include "tests/bench/arguments.h"

namespace coder::bench {
namespace {

namespace pb = coder::provisioner::v1;

// What the daemons have done together.
class Tally {
 public:
  Tally(int64_t daemons, int64_t jobs) : daemons_(daemons), jobs_(jobs) {}

  // Returns once every daemon is here, or one failed.
  void AwaitAll() {
    std::unique_lock lock(mutex_);
    if (++connected_ == daemons_) began_ = clock_.MonotonicNow();
    changed_.notify_all();
    changed_.wait(lock, [&] { return connected_ == daemons_ || !failure_.empty(); });
  }

  void Completed(const std::string& job) {
    const std::lock_guard lock(mutex_);
    if (!completed_.insert(job).second) failure_ = absl::StrCat("job ", job, " came twice");
    ended_ = clock_.MonotonicNow();
    changed_.notify_all();
  }

  void Failed(const std::string& failure) {
    const std::lock_guard lock(mutex_);
    if (!done()) failure_ = failure;
    changed_.notify_all();
  }

  void AwaitEnd() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return done() || !failure_.empty(); });
  }

  int Print() {
    const std::lock_guard lock(mutex_);
    if (!failure_.empty()) {
      std::fprintf(stderr, "take_jobs: %s\n", failure_.c_str());
      return 1;
    }
    std::printf("{\"jobs\": %zu, \"seconds\": %.6f}\n", completed_.size(),
                absl::ToDoubleSeconds(ended_ - began_));
    return 0;
  }

 private:
  bool done() const { return static_cast<int64_t>(completed_.size()) >= jobs_; }

  const clock::SystemClock clock_;
  const int64_t daemons_, jobs_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int64_t connected_ = 0;
  absl::Duration began_, ended_;
  std::set<std::string> completed_;
  std::string failure_;
};

class Daemon {
 public:
  Daemon(const std::string& address, int64_t number, Tally& tally)
      : name_(absl::StrCat("bench-", number)), tally_(tally) {
    grpc::ChannelArguments own;
    own.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    stub_ = pb::ProvisionerService::NewStub(
        grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), own));
    Authorize(context_);
  }

  void Run() {
    const auto stream = stub_->AcquireJobs(&context_);
    pb::AcquireJobsRequest hello;
    hello.mutable_hello()->set_name(name_);
    hello.mutable_hello()->add_provisioners("echo");
    hello.mutable_hello()->set_slots(1);
    pb::AcquireJobsResponse response;
    if (!stream->Write(hello) || !stream->Read(&response) || !response.has_welcome()) {
      return tally_.Failed(stream->Finish().error_message());
    }
    tally_.AwaitAll();
    pb::AcquireJobsRequest acquire;
    acquire.mutable_acquire();
    while (stream->Write(acquire) && stream->Read(&response) && response.has_job()) {
      const grpc::Status completed = Complete(response.job());
      if (!completed.ok()) return tally_.Failed(completed.error_message());
      tally_.Completed(response.job().lease().job_id());
    }
    tally_.Failed(absl::StrCat(name_, ": the stream ended: ", stream->Finish().error_message()));
  }

  void Stop() { context_.TryCancel(); }

 private:
  static void Authorize(grpc::ClientContext& context) {
    context.AddMetadata("authorization",
                        absl::StrCat("Bearer ", std::getenv("CODER_PROVISIONER_KEY")));
  }

  grpc::Status Complete(const pb::Job& job) {
    grpc::ClientContext context;
    Authorize(context);
    pb::CompleteJobRequest request;
    *request.mutable_lease() = job.lease();
    request.mutable_workspace_build();
    pb::CompleteJobResponse response;
    return stub_->CompleteJob(&context, request, &response);
  }

  const std::string name_;
  Tally& tally_;
  std::unique_ptr<pb::ProvisionerService::Stub> stub_;
  grpc::ClientContext context_;
};

int Run(const Arguments& arguments) {
  const int64_t count = arguments.Number("daemons", 1);
  Tally tally(count, arguments.Number("jobs", 1));
  std::vector<std::unique_ptr<Daemon>> daemons;
  std::vector<std::jthread> threads;
  for (int64_t i = 0; i < count; ++i) {
    daemons.push_back(std::make_unique<Daemon>(arguments.Text("address"), i, tally));
    threads.emplace_back(&Daemon::Run, daemons.back().get());
  }
  tally.AwaitEnd();
  for (const auto& daemon : daemons) daemon->Stop();
  threads.clear();
  return tally.Print();
}

}  // namespace
}  // namespace coder::bench

int main(int argc, char** argv) { return coder::bench::Run(coder::bench::Arguments(argc, argv)); }
