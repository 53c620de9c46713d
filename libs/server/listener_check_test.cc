#include "libs/server/listener_check.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <vector>

#include "libs/clock/system_clock.h"
#include "libs/metrics/metrics.h"
#include "libs/server/grpc_server.h"

namespace coder::server {
namespace {

// Runs in the child: takes every descriptor when it starts and frees them when told to.
class Exhaustion : public Part {
 public:
  Exhaustion(GrpcServer& server, int port_out, int release_in)
      : server_(server), port_out_(port_out), release_in_(release_in) {}
  std::string name() const override { return "exhaustion"; }
  absl::Status Start() override {
    const int port = server_.port();
    if (release_in_ >= 0) {
      TakeAll();
      thread_ = std::jthread([this] {
        // What others close meanwhile is taken too, until the word to release comes.
        pollfd release{.fd = release_in_, .events = POLLIN, .revents = 0};
        while (poll(&release, 1, 1) == 0) TakeAll();
        for (int taken : taken_) close(taken);
      });
    }
    [[maybe_unused]] ssize_t written = write(port_out_, &port, sizeof(port));
    return absl::OkStatus();
  }
  void Stop() override {
    if (thread_.joinable()) thread_.join();
  }

 private:
  void TakeAll() {
    int fd = 0;
    while ((fd = dup(port_out_)) >= 0) taken_.push_back(fd);
  }

  GrpcServer& server_;
  const int port_out_;
  const int release_in_;
  std::vector<int> taken_;
  std::jthread thread_;
};

int RunServer(int port_out, int release_in) {
  const rlimit limit{200, 200};
  setrlimit(RLIMIT_NOFILE, &limit);
  clock::SystemClock clock;
  metrics::Metrics metrics("v", "r", "c");
  Program program({.drain_timeout = absl::Seconds(2)}, clock);
  GrpcServer server({.drain_delay = absl::ZeroDuration()}, clock, metrics.registry());
  ListenerCheck check(
      {.interval = absl::Milliseconds(100), .timeout = absl::Milliseconds(300)},
      GrpcServerOptions{}, [&] { return server.port(); },
      [&](const absl::Status& deaf) { program.Fail(deaf); }, clock, metrics.registry());
  Exhaustion exhaustion(server, port_out, release_in);
  program.Add(server);
  program.Add(check);
  program.Add(exhaustion);
  return program.Run();
}

struct Child {
  pid_t pid = 0;
  int port = 0;
  int release = -1;

  explicit Child(bool exhaust) {
    int port_pipe[2], release_pipe[2];
    REQUIRE(pipe(port_pipe) == 0);
    REQUIRE(pipe(release_pipe) == 0);
    pid = fork();
    if (pid == 0) _exit(RunServer(port_pipe[1], exhaust ? release_pipe[0] : -1));
    close(port_pipe[1]);
    close(release_pipe[0]);
    release = release_pipe[1];
    REQUIRE(read(port_pipe[0], &port, sizeof(port)) == sizeof(port));
    close(port_pipe[0]);
  }
};

// gRPC may not have been used before a fork, so this process only probes.
TEST_CASE("after descriptors ran out the listener answers again or the process ends") {
  Child first(true);
  // Makes the listener meet its "too many open files", once the last free descriptor is taken.
  while (ProbeListener("127.0.0.1", first.port, false, absl::Milliseconds(200)).ok()) {
  }
  REQUIRE(write(first.release, "x", 1) == 1);
  int wait_status = 0;
  bool ended = false;
  bool answered = false;
  while (!answered && !ended) {
    ended = waitpid(first.pid, &wait_status, WNOHANG) == first.pid;
    answered = ProbeListener("127.0.0.1", first.port, false, absl::Milliseconds(100)).ok();
  }
  if (ended) {
    REQUIRE(WIFEXITED(wait_status));
    CHECK(WEXITSTATUS(wait_status) == kExitFailed);
    Child second(false);
    CHECK(ProbeListener("127.0.0.1", second.port, false, absl::Seconds(10)).ok());
    kill(second.pid, SIGTERM);
    REQUIRE(waitpid(second.pid, &wait_status, 0) == second.pid);
    CHECK(wait_status == 0);
    return;
  }
  kill(first.pid, SIGTERM);
  REQUIRE(waitpid(first.pid, &wait_status, 0) == first.pid);
}

TEST_CASE("nobody listening is no answer") {
  const absl::Status status = ProbeListener("127.0.0.1", 1, false, absl::Milliseconds(200));
  CHECK(status.code() == absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace coder::server
