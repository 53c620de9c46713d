#include "services/provisionerd/job_loop.h"

#include <grpcpp/grpcpp.h>
#include <prometheus/registry.h>

#include <catch2/catch.hpp>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include "coder/provisioner/v1/provisioner.grpc.pb.h"
#include "libs/archive/template_archive.h"
#include "libs/clock/system_clock.h"
#include "libs/server/grpc_channel.h"
#include "libs/server/grpc_status.h"
#include "services/provisionerd/grpc_job_client.h"

namespace coder::provisionerd {
namespace {

namespace pb = provisioner::v1;

std::string FreshDirectory(const std::string& name) {
  const auto path = std::filesystem::path(std::getenv("TEST_TMPDIR")) / name;
  std::filesystem::remove_all(path);
  std::filesystem::create_directories(path);
  return path.string();
}

/// coderd-api's side of the protocol, over a real socket, giving what the test puts in.
class Peer final : public pb::ProvisionerService::Service {
 public:
  Peer() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~Peer() override {
    server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
  }

  grpc::Status AcquireJobs(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<pb::AcquireJobsResponse, pb::AcquireJobsRequest>* stream) override {
    pb::AcquireJobsRequest request;
    while (stream->Read(&request)) {
      const std::lock_guard lock(mutex_);
      pb::AcquireJobsResponse response;
      if (request.has_hello()) {
        hellos_.push_back(request.hello());
        response.mutable_welcome()->set_daemon_id("daemon");
        stream->Write(response);
      } else if (request.has_acquire()) {
        ++outstanding_;
        Answer(*stream);
      } else {
        for (; outstanding_ > 0; --outstanding_) {
          response.mutable_withdrawn();
          stream->Write(response);
        }
      }
      changed_.notify_all();
      if (break_after_hello_ && request.has_hello()) {
        break_after_hello_ = false;
        return grpc::Status(grpc::StatusCode::UNAVAILABLE, "restarting");
      }
    }
    const std::lock_guard lock(mutex_);
    outstanding_ = 0;
    return grpc::Status::OK;
  }

  grpc::Status Heartbeat(grpc::ServerContext*, const pb::HeartbeatRequest*,
                         pb::HeartbeatResponse* response) override {
    response->mutable_lease_duration()->set_seconds(30);
    return grpc::Status::OK;
  }
  grpc::Status AppendLogs(grpc::ServerContext*, const pb::AppendLogsRequest*,
                          pb::AppendLogsResponse*) override {
    return grpc::Status::OK;
  }
  grpc::Status DownloadSource(grpc::ServerContext*, const pb::DownloadSourceRequest*,
                              grpc::ServerWriter<pb::DownloadSourceResponse>* writer) override {
    pb::DownloadSourceResponse response;
    response.set_chunk(archive_);
    writer->Write(response);
    return grpc::Status::OK;
  }
  grpc::Status DownloadState(grpc::ServerContext*, const pb::DownloadStateRequest*,
                             grpc::ServerWriter<pb::DownloadStateResponse>*) override {
    return grpc::Status::OK;
  }
  grpc::Status CompleteJob(grpc::ServerContext* context, const pb::CompleteJobRequest* request,
                           pb::CompleteJobResponse*) override {
    CHECK(context->client_metadata().find("authorization")->second == "Bearer cpk_key");
    Remember("complete:" + request->lease().job_id());
    return grpc::Status::OK;
  }
  grpc::Status FailJob(grpc::ServerContext*, const pb::FailJobRequest* request,
                       pb::FailJobResponse*) override {
    Remember("fail:" + request->lease().job_id() + ":" + request->error_code());
    return grpc::Status::OK;
  }

  /// Jobs for the acquires that wait or come.
  void Queue(const std::string& job_id) {
    const std::lock_guard lock(mutex_);
    queued_.push_back(job_id);
  }

  void AwaitEnds(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ends_.size() >= count; });
  }
  void AwaitOutstanding(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return outstanding_ == count; });
  }
  void AwaitHellos(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return hellos_.size() >= count; });
  }

  std::vector<std::string> ends() {
    const std::lock_guard lock(mutex_);
    return ends_;
  }
  pb::AcquireJobsRequest::Hello hello() {
    const std::lock_guard lock(mutex_);
    return hellos_.front();
  }
  void BreakAfterHello() {
    const std::lock_guard lock(mutex_);
    break_after_hello_ = true;
  }
  int port() const { return port_; }

 private:
  void Answer(grpc::ServerReaderWriter<pb::AcquireJobsResponse, pb::AcquireJobsRequest>& stream) {
    if (queued_.empty()) return;
    pb::AcquireJobsResponse response;
    pb::Job* job = response.mutable_job();
    job->mutable_lease()->set_job_id(queued_.front());
    job->mutable_lease()->set_token("token");
    job->mutable_lease_duration()->set_seconds(30);
    job->set_provisioner("terraform");
    job->mutable_workspace_build()->set_transition(events::v1::BUILD_TRANSITION_START);
    queued_.pop_front();
    --outstanding_;
    stream.Write(response);
  }

  void Remember(const std::string& end) {
    const std::lock_guard lock(mutex_);
    ends_.push_back(end);
    changed_.notify_all();
  }

  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> queued_;
  std::vector<std::string> ends_;
  std::vector<pb::AcquireJobsRequest::Hello> hellos_;
  int outstanding_ = 0;
  bool break_after_hello_ = false;
  std::string archive_ = [] {
    const std::string directory = FreshDirectory("source");
    std::ofstream(directory + "/main.tf") << "# nothing\n";
    return archive::PackTemplate(directory).value();
  }();
};

/// Builds until told to end, or until it is interrupted.
class GatedEngine final : public Engine {
 public:
  absl::StatusOr<ImportResult> Import(const ImportRequest&, const EngineContext&) override {
    return ImportResult{};
  }
  absl::StatusOr<BuildResult> Build(const BuildRequest&, const EngineContext& context) override {
    std::unique_lock lock(mutex_);
    ++running_;
    changed_.notify_all();
    changed_.wait(lock, context.interrupt, [this] { return open_; });
    --running_;
    BuildResult result;
    if (context.interrupt.stop_requested()) result.outcome = absl::CancelledError("interrupted");
    return result;
  }
  void Open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void AwaitRunning(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return running_ == count; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  bool open_ = false;
  int running_ = 0;
};

struct Fixture {
  explicit Fixture(int slots) {
    channel = server::CreateChannel({.target = "127.0.0.1:" + std::to_string(peer.port())}).value();
    client = std::make_unique<GrpcJobClient>(channel, server::Secret("cpk_key"));
    environment.engines["terraform"] = &engine;
    environment.work_root = FreshDirectory("jobs");
    environment.client = client.get();
    environment.clock = &clock;
    loop = std::make_unique<JobLoop>(channel, server::Secret("cpk_key"),
                                     DaemonIdentity{"one", "0.1.0", {"terraform"}, slots},
                                     environment, clock, registry);
  }
  ~Fixture() { loop->Stop(); }

  clock::SystemClock clock;
  prometheus::Registry registry;
  GatedEngine engine;
  Peer peer;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<GrpcJobClient> client;
  JobEnvironment environment;
  std::unique_ptr<JobLoop> loop;
};

constexpr char kFirst[] = "00000000-0000-7000-8000-000000000001";
constexpr char kSecond[] = "00000000-0000-7000-8000-000000000002";
constexpr char kThird[] = "00000000-0000-7000-8000-000000000003";

TEST_CASE("a daemon runs as many jobs at once as it has slots, and asks again for each that ends") {
  Fixture fixture(2);
  fixture.peer.Queue(kFirst);
  fixture.peer.Queue(kSecond);
  fixture.peer.Queue(kThird);
  REQUIRE(fixture.loop->Start().ok());
  fixture.engine.AwaitRunning(2);
  CHECK(fixture.peer.hello().name() == "one");
  CHECK(fixture.peer.hello().slots() == 2);
  CHECK(fixture.loop->Connected().ok());
  fixture.engine.Open();
  fixture.peer.AwaitEnds(3);
  fixture.peer.AwaitOutstanding(2);
  auto ends = fixture.peer.ends();
  std::sort(ends.begin(), ends.end());
  CHECK(ends == std::vector<std::string>{std::string("complete:") + kFirst,
                                         std::string("complete:") + kSecond,
                                         std::string("complete:") + kThird});
}

TEST_CASE("draining takes back what was asked for and lets the running job end") {
  Fixture fixture(2);
  fixture.peer.Queue(kFirst);
  REQUIRE(fixture.loop->Start().ok());
  fixture.engine.AwaitRunning(1);
  fixture.peer.AwaitOutstanding(1);
  std::jthread drain([&] { fixture.loop->Drain(absl::Seconds(60)); });
  fixture.peer.AwaitOutstanding(0);
  fixture.engine.Open();
  drain.join();
  CHECK(fixture.peer.ends() == std::vector<std::string>{std::string("complete:") + kFirst});
}

TEST_CASE("a job that outlasts the drain is interrupted and says so") {
  Fixture fixture(1);
  fixture.peer.Queue(kFirst);
  REQUIRE(fixture.loop->Start().ok());
  fixture.engine.AwaitRunning(1);
  fixture.loop->Drain(absl::Seconds(4));
  CHECK(fixture.peer.ends() ==
        std::vector<std::string>{std::string("fail:") + kFirst + ":INTERRUPTED"});
}

TEST_CASE("a broken stream is opened again") {
  Fixture fixture(1);
  fixture.peer.BreakAfterHello();
  REQUIRE(fixture.loop->Start().ok());
  fixture.peer.AwaitHellos(2);
  fixture.peer.AwaitOutstanding(1);
  CHECK(fixture.loop->Connected().ok());
}

}  // namespace
}  // namespace coder::provisionerd
