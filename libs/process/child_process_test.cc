#include "libs/process/child_process.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "libs/process/descriptor.h"

namespace coder::process {
namespace {

struct Captured {
  std::vector<std::string> out;
  std::vector<std::string> err;
};

ChildSpec Shell(const std::string& script, Captured& captured) {
  ChildSpec spec;
  spec.program = "/bin/sh";
  spec.args = {"-c", script};
  spec.env = {"PATH=/usr/bin:/bin"};
  spec.cwd = "/";
  spec.grace = absl::Milliseconds(200);
  spec.on_stdout_line = [&](std::string_view line) { captured.out.emplace_back(line); };
  spec.on_stderr_line = [&](std::string_view line) { captured.err.emplace_back(line); };
  return spec;
}

bool Alive(const std::string& pid) { return ::kill(std::stoi(pid), 0) == 0; }

// Requests the interrupt as soon as the child has printed a line.
ChildExit RunAndInterrupt(ChildSpec spec, Captured& captured) {
  std::stop_source interrupt;
  spec.on_stdout_line = [&](std::string_view line) {
    captured.out.emplace_back(line);
    interrupt.request_stop();
  };
  absl::StatusOr<ChildExit> exit = RunChild(spec, {interrupt.get_token(), {}});
  REQUIRE(exit.ok());
  return *exit;
}

TEST_CASE("a child's streams and exit status arrive") {
  Captured captured;
  auto exit = RunChild(Shell("echo one; echo two >&2; printf tail; exit 7", captured), {});
  REQUIRE(exit.ok());
  CHECK(exit->exit_code == 7);
  CHECK_FALSE(exit->signal.has_value());
  CHECK(captured.out == std::vector<std::string>{"one", "tail"});
  CHECK(captured.err == std::vector<std::string>{"two"});
  CHECK(DescribeExit(*exit) == "exited with status 7");
}

TEST_CASE("a child that dies by a signal is reported as such") {
  Captured captured;
  auto exit = RunChild(Shell("kill -TERM $$", captured), {});
  REQUIRE(exit.ok());
  CHECK(exit->signal == SIGTERM);
  CHECK_FALSE(exit->exit_code.has_value());
}

TEST_CASE("a child inherits no variable of this process") {
  ::setenv("CODER_CANARY", "leaked", 1);
  Captured captured;
  ChildSpec spec = Shell("", captured);
  spec.program = "/usr/bin/env";
  spec.args = {};
  spec.env = {"ONLY=this"};
  REQUIRE(RunChild(spec, {}).ok());
  REQUIRE(captured.out.size() == 2);
  CHECK(captured.out[0] == "ONLY=this");
  CHECK(captured.out[1].rfind(std::string(kRunMarkVariable) + "=", 0) == 0);
}

TEST_CASE("an interrupt reaches the group") {
  Captured captured;
  ChildSpec spec = Shell("trap 'echo bye; exit 3' INT; echo ready; sleep 1000 & wait", captured);
  spec.grace = absl::Minutes(5);
  ChildExit exit = RunAndInterrupt(spec, captured);
  CHECK(exit.exit_code == 3);
  CHECK(exit.interrupted);
  CHECK_FALSE(exit.killed);
  CHECK(captured.out == std::vector<std::string>{"ready", "bye"});
}

TEST_CASE("a child that ignores the interrupt is killed after the grace") {
  Captured captured;
  ChildExit exit = RunAndInterrupt(
      Shell("trap '' INT; sleep 1000 & echo $!; while true; do sleep 1000; done", captured),
      captured);
  CHECK(exit.killed);
  CHECK(exit.signal == SIGKILL);
  CHECK_FALSE(Alive(captured.out.at(0)));
}

TEST_CASE("a kill does not wait for the grace") {
  Captured captured;
  std::stop_source kill;
  ChildSpec spec = Shell("trap '' INT; echo ready; sleep 1000", captured);
  spec.grace = absl::Hours(1);
  spec.on_stdout_line = [&](std::string_view) { kill.request_stop(); };
  auto exit = RunChild(spec, {{}, kill.get_token()});
  REQUIRE(exit.ok());
  CHECK(exit->signal == SIGKILL);
}

// The state of a process as /proc tells it, "T" when it is stopped.
std::string StateOf(const std::string& pid) {
  std::ifstream stat("/proc/" + pid + "/stat");
  std::string number, name, state;
  stat >> number >> name >> state;
  return state;
}

TEST_CASE("a paused child stands still until it may go on") {
  Captured captured;
  Pause pause;
  ChildSpec spec = Shell("sleep 1000 & trap 'kill $!; exit 5' TERM; echo $$ $!; wait", captured);
  std::vector<std::string> states;
  std::jthread other;
  spec.on_stdout_line = [&](std::string_view line) {
    captured.out.emplace_back(line);
    other = std::jthread([&, both = std::string(line)] {
      const std::string shell = both.substr(0, both.find(' '));
      const std::string sleeper = both.substr(both.find(' ') + 1);
      pause.Set(true);
      while (StateOf(shell) != "T" || StateOf(sleeper) != "T") std::this_thread::yield();
      ::kill(std::stoi(shell), SIGTERM);
      states.push_back(StateOf(shell));
      pause.Set(false);
    });
  };
  auto exit = RunChild(spec, {{}, {}, &pause});
  other.join();
  REQUIRE(exit.ok());
  CHECK(states == std::vector<std::string>{"T"});
  CHECK(exit->exit_code == 5);
}

TEST_CASE("a kill ends a paused child") {
  Captured captured;
  Pause pause;
  std::stop_source kill;
  ChildSpec spec = Shell("echo $$; sleep 1000", captured);
  std::jthread other;
  spec.on_stdout_line = [&](std::string_view line) {
    other = std::jthread([&, shell = std::string(line)] {
      pause.Set(true);
      while (StateOf(shell) != "T") std::this_thread::yield();
      kill.request_stop();
    });
  };
  auto exit = RunChild(spec, {{}, kill.get_token(), &pause});
  other.join();
  REQUIRE(exit.ok());
  CHECK(exit->killed);
}

TEST_CASE("a stop from another thread ends the child") {
  Captured captured;
  std::stop_source interrupt;
  std::jthread canceller([&] { interrupt.request_stop(); });
  auto exit = RunChild(Shell("sleep 1000", captured), {interrupt.get_token(), {}});
  if (exit.ok()) {
    CHECK(exit->interrupted);
  } else {
    CHECK(absl::IsCancelled(exit.status()));
  }
}

TEST_CASE("the time limit interrupts and then kills") {
  Captured captured;
  ChildSpec spec = Shell("trap '' INT; while true; do sleep 1000; done", captured);
  spec.timeout = absl::Milliseconds(50);
  auto exit = RunChild(spec, {});
  REQUIRE(exit.ok());
  CHECK(exit->timed_out);
  CHECK(exit->killed);
  CHECK(DescribeExit(*exit) == "was killed by signal 9 after its time limit");
}

TEST_CASE("background processes do not outlive the child") {
  Captured captured;
  SECTION("in its group") { REQUIRE(RunChild(Shell("sleep 1000 & echo $!", captured), {}).ok()); }
  SECTION("in a session of their own") {
    REQUIRE(RunChild(Shell("exec 3>&1; { setsid sh -c 'echo $$ >&3; echo go; exec sleep 1000 >&3' "
                           "& } | read x",
                           captured),
                     {})
                .ok());
  }
  REQUIRE(captured.out.size() == 1);
  CHECK_FALSE(Alive(captured.out[0]));
}

// A pid's end can be waited for whoever reaps it.
Descriptor Watch(const std::string& pid) {
  return Descriptor(static_cast<int>(::syscall(SYS_pidfd_open, std::stoi(pid), 0)));
}

bool EndsWithin(const Descriptor& watched, int patience_ms) {
  pollfd fd = {watched.get(), POLLIN, 0};
  return ::poll(&fd, 1, patience_ms) == 1;
}

// Leaves the group, the session and the environment of its parent behind, and then the parent.
constexpr char kDaemonise[] =
    "exec 3>&1; (env -i /usr/bin/setsid /bin/sh -c 'trap \"\" TERM INT HUP; echo $$ >&3; "
    "sleep 1000; sleep 1000' &) ";

TEST_CASE("a process that hides its descent does not outlive the child") {
  Captured captured;
  ChildSpec spec = Shell(std::string(kDaemonise) + "; sleep 1000", captured);
  std::stop_source kill;
  Descriptor daemon;
  spec.on_stdout_line = [&](std::string_view line) {
    daemon = Watch(std::string(line));
    kill.request_stop();
  };
  REQUIRE(RunChild(spec, {{}, kill.get_token()}).ok());
  REQUIRE(daemon.valid());
  CHECK(EndsWithin(daemon, 0));
}

// Forks a process that runs `script` by RunChild and sends its lines here.
struct Owner {
  explicit Owner(const std::string& script) {
    int fds[2];
    REQUIRE(::pipe(fds) == 0);
    pid = ::fork();
    if (pid == 0) {
      Captured ignored;
      ChildSpec spec = Shell(script, ignored);
      spec.on_stdout_line = [&fds](std::string_view line) {
        const std::string text = std::string(line) + "\n";
        (void)!::write(fds[1], text.data(), text.size());
      };
      (void)RunChild(spec, {});
      ::_exit(0);
    }
    ::close(fds[1]);
    lines = ::fdopen(fds[0], "r");
  }
  ~Owner() { ::fclose(lines); }
  Owner(const Owner&) = delete;
  Owner& operator=(const Owner&) = delete;

  std::string Line() const {
    char text[64] = {};
    REQUIRE(::fgets(text, sizeof(text), lines) != nullptr);
    return text;
  }

  pid_t pid;
  FILE* lines;
};

TEST_CASE("nothing outlives the death of the owner by SIGKILL") {
  Owner owner(std::string(kDaemonise) + "; echo $$; trap '' TERM INT HUP; sleep 1000; sleep 1000");
  std::vector<Descriptor> watched;
  watched.push_back(Watch(owner.Line()));
  watched.push_back(Watch(owner.Line()));
  REQUIRE((watched[0].valid() && watched[1].valid()));
  REQUIRE_FALSE((EndsWithin(watched[0], 0) || EndsWithin(watched[1], 0)));
  ::kill(owner.pid, SIGKILL);
  for (const Descriptor& process : watched) REQUIRE(EndsWithin(process, 20'000));
  // This process is the reaper of them all, the guard among them: none is left when this ends.
  while (::waitpid(-1, nullptr, 0) > 0 || errno == EINTR) {
  }
}

TEST_CASE("the death of a guard is an error and ends what it guarded") {
  Captured captured;
  ChildSpec spec = Shell("setsid sh -c 'echo $$; sleep 1000' & echo $PPID; sleep 1000", captured);
  std::vector<Descriptor> watched;
  std::string guard;
  spec.on_stdout_line = [&](std::string_view line) {
    watched.push_back(Watch(std::string(line)));
    captured.out.emplace_back(line);
    if (watched.size() < 2) return;
    for (const std::string& pid : captured.out) {
      std::ifstream name("/proc/" + pid + "/comm");
      std::string text;
      if (std::getline(name, text) && text == "run-guard") guard = pid;
    }
    if (!guard.empty()) ::kill(std::stoi(guard), SIGKILL);
  };
  const auto exit = RunChild(spec, {});
  REQUIRE_FALSE(guard.empty());
  CHECK(absl::IsInternal(exit.status()));
  for (const Descriptor& process : watched) CHECK(EndsWithin(process, 20'000));
}

TEST_CASE("output beyond the cap is counted and dropped, and does not block the child") {
  Captured captured;
  ChildSpec spec = Shell("head -c 10000000 /dev/zero | tr '\\0' x; exit 5", captured);
  spec.max_output_bytes = 5000;
  auto exit = RunChild(spec, {});
  REQUIRE(exit.ok());
  CHECK(exit->exit_code == 5);
  CHECK(exit->output_bytes == 10'000'000);
  CHECK(exit->discarded_bytes == 9'995'000);
  REQUIRE(captured.out.size() == 5);
  CHECK(captured.out[0].size() == 1024);
  CHECK(captured.out[4].size() == 5000 - 4 * 1024);
}

TEST_CASE("ten megabytes of lines arrive whole and in order") {
  Captured captured;
  auto exit = RunChild(Shell("seq 1 1500000", captured), {});
  REQUIRE(exit.ok());
  REQUIRE(captured.out.size() == 1'500'000);
  CHECK(captured.out.back() == "1500000");
  CHECK(exit->discarded_bytes == 0);
}

TEST_CASE("what cannot be started says what to do") {
  Captured captured;
  ChildSpec spec = Shell("true", captured);
  SECTION("no such program") {
    spec.program = "/nowhere/tofu";
    CHECK(RunChild(spec, {}).status() ==
          absl::NotFoundError("start /nowhere/tofu in /: execute: No such file or directory; check "
                              "the configured path and that it is installed in this image"));
  }
  SECTION("not executable") {
    spec.program = "/etc/passwd";
    CHECK(absl::IsPermissionDenied(RunChild(spec, {}).status()));
  }
  SECTION("no such directory") {
    spec.cwd = "/nowhere";
    CHECK(absl::IsNotFound(RunChild(spec, {}).status()));
  }
  SECTION("a relative program") {
    spec.program = "sh";
    CHECK(absl::IsInvalidArgument(RunChild(spec, {}).status()));
  }
  SECTION("already stopped") {
    std::stop_source source;
    source.request_stop();
    CHECK(absl::IsCancelled(RunChild(spec, {source.get_token(), {}}).status()));
  }
}

TEST_CASE("a long line is cut between characters") {
  std::vector<std::string> lines;
  LineSplitter splitter(4, [&](std::string_view line) { lines.emplace_back(line); });
  splitter.Append("ab\xC3");
  splitter.Append(
      "\xA9"
      "cd\r\n\nz");
  splitter.Finish();
  CHECK(lines == std::vector<std::string>{"ab\xC3\xA9", "cd", "", "z"});
  lines.clear();
  splitter.Append("abc\xC3\xA9\n");
  CHECK(lines == std::vector<std::string>{"abc", "\xC3\xA9"});
}

}  // namespace
}  // namespace coder::process
