// The baseline's side of a watch: a bare gRPC callback server of the same method.
//
//   raw_watch_server --events=N   every stream gets one first message, then N times one event, all
//                                 from one shared buffer; 0: it stays idle
//
// Prints its port. Ends with its standard input.

#include <grpcpp/grpcpp.h>
#include <sys/resource.h>

#include <atomic>
#include <cstdio>
#include <string>

#include "absl/time/time.h"
#include "coder/api/v1/watch.grpc.pb.h"
#include "libs/clock/system_clock.h"
#include "tests/bench/arguments.h"
#include "tests/bench/bench_events.h"

namespace coder::bench {
namespace {

namespace v1 = coder::api::v1;

grpc::ByteBuffer BufferOf(const v1::WatchAllWorkspaceBuildsResponse& response) {
  const grpc::Slice slice(response.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

struct Flood {
  explicit Flood(int64_t events) : events(events) {
    v1::WatchAllWorkspaceBuildsResponse response;
    response.set_resume_token("0123456789012345678901234567");
    first = BufferOf(response);
    auto* watched = response.add_events();
    watched->set_position(1);
    watched->mutable_event()->ParseFromString(MakeEvent(0, clock::SystemClock().Now()));
    one = BufferOf(response);
  }
  const int64_t events;
  grpc::ByteBuffer first;
  grpc::ByteBuffer one;
};

class FloodReactor : public grpc::ServerWriteReactor<grpc::ByteBuffer> {
 public:
  explicit FloodReactor(const Flood& flood) : flood_(flood) { StartWrite(&flood_.first); }

  void OnWriteDone(bool ok) override {
    if (!ok) return End();
    if (sent_++ == flood_.events) return;
    StartWrite(&flood_.one);
  }
  void OnCancel() override { End(); }
  void OnDone() override { delete this; }

 private:
  void End() {
    if (!ended_.exchange(true)) Finish(grpc::Status::CANCELLED);
  }

  const Flood& flood_;
  int64_t sent_ = 0;
  std::atomic<bool> ended_ = false;
};

class RawWatchService : public v1::WatchService::WithRawCallbackMethod_WatchAllWorkspaceBuilds<
                            v1::WatchService::Service> {
 public:
  explicit RawWatchService(const Flood& flood) : flood_(flood) {}
  grpc::ServerWriteReactor<grpc::ByteBuffer>* WatchAllWorkspaceBuilds(
      grpc::CallbackServerContext*, const grpc::ByteBuffer*) override {
    return new FloodReactor(flood_);
  }

 private:
  const Flood& flood_;
};

int Run(const Arguments& arguments) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  const Flood flood(arguments.Number("events"));
  RawWatchService service(flood);
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  if (!server) return 1;
  std::printf("{\"port\": %d}\n", port);
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  server->Shutdown(std::chrono::system_clock::now());
  return 0;
}

}  // namespace
}  // namespace coder::bench

int main(int argc, char** argv) { return coder::bench::Run(coder::bench::Arguments(argc, argv)); }
