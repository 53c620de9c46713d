// Calls of the API from one process.
//
//   api_calls --address=HOST:PORT --mode=get|start --first=I --calls=N --in-flight=K [--pace-ms=M]
//
// Calls workspaces number I to I+N-1 of the benchmark's by id, K calls at a time; with a pace, one
// call every M milliseconds. CODER_TOKEN is the bearer token. Prints the calls, the seconds they
// took and their median and 99th percentile in seconds; a refused call ends it without a result.

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "coder/api/v1/build.grpc.pb.h"
#include "coder/api/v1/workspace.grpc.pb.h"
#include "libs/clock/system_clock.h"
#include "tests/bench/arguments.h"

namespace coder::bench {
namespace {

namespace v1 = coder::api::v1;

class Caller {
 public:
  explicit Caller(const std::string& address)
      : channel_(grpc::CreateChannel(address, grpc::InsecureChannelCredentials())),
        builds_(v1::BuildService::NewStub(channel_)),
        workspaces_(v1::WorkspaceService::NewStub(channel_)) {}

  grpc::Status Call(bool is_start, int64_t number) {
    grpc::ClientContext context;
    if (const char* token = std::getenv("CODER_TOKEN")) {
      context.AddMetadata("authorization", std::string("Bearer ") + token);
    }
    const std::string id = absl::StrFormat("00000000-0000-4000-8000-%012d", number);
    if (is_start) {
      v1::CreateWorkspaceBuildRequest request;
      request.set_workspace_id(id);
      request.set_transition(coder::events::v1::BUILD_TRANSITION_START);
      v1::CreateWorkspaceBuildResponse response;
      return builds_->CreateWorkspaceBuild(&context, request, &response);
    }
    v1::GetWorkspaceRequest request;
    request.set_workspace(id);
    v1::GetWorkspaceResponse response;
    return workspaces_->GetWorkspace(&context, request, &response);
  }

 private:
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::BuildService::Stub> builds_;
  std::unique_ptr<v1::WorkspaceService::Stub> workspaces_;
};

int Run(const Arguments& arguments) {
  const clock::SystemClock clock;
  Caller caller(arguments.Text("address"));
  const bool is_start = arguments.Text("mode") == "start";
  const int64_t first = arguments.Number("first");
  const int64_t calls = arguments.Number("calls", 1);
  const absl::Duration pace = absl::Milliseconds(arguments.Number("pace-ms"));
  std::atomic<int64_t> next = 0;
  std::mutex mutex;
  std::vector<double> took;
  std::string failure;
  const absl::Duration began = clock.MonotonicNow();
  const auto work = [&] {
    for (int64_t i = next++; i < calls; i = next++) {
      absl::SleepFor(began + i * pace - clock.MonotonicNow());
      const absl::Duration sent = clock.MonotonicNow();
      const grpc::Status status = caller.Call(is_start, first + i);
      const double seconds = absl::ToDoubleSeconds(clock.MonotonicNow() - sent);
      const std::lock_guard lock(mutex);
      took.push_back(seconds);
      if (!status.ok()) failure = status.error_message();
    }
  };
  std::vector<std::jthread> threads;
  for (int64_t i = 0; i < arguments.Number("in-flight", 1); ++i) threads.emplace_back(work);
  threads.clear();
  if (!failure.empty()) {
    std::fprintf(stderr, "api_calls: %s\n", failure.c_str());
    return 1;
  }
  std::sort(took.begin(), took.end());
  std::printf("{\"calls\": %zu, \"seconds\": %.6f, \"p50\": %.6f, \"p99\": %.6f}\n", took.size(),
              absl::ToDoubleSeconds(clock.MonotonicNow() - began), took[took.size() / 2],
              took[took.size() * 99 / 100]);
  return 0;
}

}  // namespace
}  // namespace coder::bench

int main(int argc, char** argv) { return coder::bench::Run(coder::bench::Arguments(argc, argv)); }
