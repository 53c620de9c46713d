#include "libs/server/program.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <functional>

#include "libs/clock/system_clock.h"

namespace coder::server {
namespace {

// Writes each step to a pipe, so that the parent of a forked program sees their order.
class Recorder : public Part {
 public:
  Recorder(std::string name, int out) : name_(std::move(name)), out_(out) {}
  std::string name() const override { return name_; }
  absl::Status Start() override {
    Say("start " + name_);
    return start;
  }
  void Drain(absl::Duration) override {
    Say("drain " + name_);
    if (on_drain) on_drain();
  }
  void Stop() override { Say("stop " + name_); }

  absl::Status start;
  std::function<void()> on_drain;

 private:
  void Say(const std::string& text) {
    [[maybe_unused]] ssize_t written = write(out_, (text + "\n").data(), text.size() + 1);
  }
  const std::string name_;
  const int out_;
};

// Passes the last Start on to a function, so that a test acts once everything runs.
class Trigger : public Part {
 public:
  explicit Trigger(std::function<void()> act) : act_(std::move(act)) {}
  std::string name() const override { return "trigger"; }
  absl::Status Start() override {
    act_();
    return absl::OkStatus();
  }
  void Stop() override {}

 private:
  std::function<void()> act_;
};

struct Ended {
  int wait_status = 0;
  std::string output;
};

Ended RunForked(const std::function<int(int out)>& program) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    _exit(program(ends[1]));
  }
  close(ends[1]);
  Ended ended;
  char chunk[512];
  ssize_t got = 0;
  while ((got = read(ends[0], chunk, sizeof(chunk))) > 0) ended.output.append(chunk, got);
  close(ends[0]);
  REQUIRE(waitpid(child, &ended.wait_status, 0) == child);
  return ended;
}

TEST_CASE("the first signal drains and stops in reverse order and the exit code is 0") {
  for (int number : {SIGTERM, SIGINT}) {
    DYNAMIC_SECTION("signal " << number) {
      const Ended ended = RunForked([&](int out) {
        clock::SystemClock clock;
        Recorder pool("pool", out), server("server", out);
        Trigger trigger([&] { kill(getpid(), number); });
        Program program({}, clock);
        program.Add(pool);
        program.Add(server);
        program.Add(trigger);
        return program.Run();
      });
      CHECK(WIFEXITED(ended.wait_status));
      CHECK(WEXITSTATUS(ended.wait_status) == kExitOk);
      CHECK(ended.output ==
            "start pool\nstart server\ndrain server\nstop server\ndrain pool\nstop pool\n");
    }
  }
}

TEST_CASE("the second signal kills") {
  const Ended ended = RunForked([](int out) {
    clock::SystemClock clock;
    Recorder part("part", out);
    part.on_drain = [] { kill(getpid(), SIGTERM); };
    Trigger trigger([] { kill(getpid(), SIGTERM); });
    Program program({}, clock);
    program.Add(part);
    program.Add(trigger);
    return program.Run();
  });
  CHECK(WIFSIGNALED(ended.wait_status));
  CHECK(WTERMSIG(ended.wait_status) == SIGTERM);
  CHECK(ended.output == "start part\ndrain part\n");
}

TEST_CASE("a part that cannot start stops those before it and the exit code is 1") {
  const Ended ended = RunForked([](int out) {
    clock::SystemClock clock;
    Recorder first("first", out), second("second", out), third("third", out);
    second.start = absl::UnavailableError("port taken");
    Program program({}, clock);
    for (Recorder* part : {&first, &second, &third}) program.Add(*part);
    return program.Run();
  });
  CHECK(WEXITSTATUS(ended.wait_status) == kExitFailed);
  CHECK(ended.output == "start first\nstart second\ndrain first\nstop first\n");
}

TEST_CASE("a failure while running stops everything and the exit code is 1") {
  const Ended ended = RunForked([](int out) {
    clock::SystemClock clock;
    Recorder part("part", out);
    Program program({}, clock);
    Trigger trigger([&] { program.Fail(absl::InternalError("listener is deaf")); });
    program.Add(part);
    program.Add(trigger);
    return program.Run();
  });
  CHECK(WEXITSTATUS(ended.wait_status) == kExitFailed);
  CHECK(ended.output == "start part\ndrain part\nstop part\n");
}

TEST_CASE("a part that hangs is ended with the code of a drain timeout") {
  const Ended ended = RunForked([](int out) {
    clock::SystemClock clock;
    Recorder part("part", out);
    part.on_drain = [] { pause(); };
    Program program(
        {.drain_timeout = absl::Milliseconds(20), .stop_timeout = absl::Milliseconds(20)}, clock);
    Trigger trigger([&] { program.RequestStop(); });
    program.Add(part);
    program.Add(trigger);
    return program.Run();
  });
  CHECK(WEXITSTATUS(ended.wait_status) == kExitDrainTimeout);
}

TEST_CASE("usage problems end with 64 and help with 0") {
  CommandLine loaded;
  OptionSet wrong("demo", "a program");
  const char* bad[] = {"demo", "--nope"};
  CHECK(LoadOrExplain(wrong, 2, bad, loaded) == kExitUsage);
  const char* help[] = {"demo", "--help"};
  CHECK(LoadOrExplain(wrong, 2, help, loaded) == kExitOk);
  const char* plain[] = {"demo"};
  CHECK_FALSE(LoadOrExplain(wrong, 1, plain, loaded).has_value());
}

}  // namespace
}  // namespace coder::server
