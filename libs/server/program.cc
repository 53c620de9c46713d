#include "libs/server/program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <mutex>
#include <thread>

#include "absl/debugging/failure_signal_handler.h"
#include "absl/debugging/symbolize.h"
#include "libs/server/log.h"
#include "libs/server/version.h"

namespace coder::server {
namespace {

// The write end of the running program's pipe; a signal handler can reach nothing else.
int g_signal_pipe = -1;

void OnStopSignal(int number) {
  signal(SIGTERM, SIG_DFL);
  signal(SIGINT, SIG_DFL);
  const char byte = static_cast<char>(number);
  [[maybe_unused]] ssize_t written = write(g_signal_pipe, &byte, 1);
}

void InstallStopSignals() {
  struct sigaction action = {};
  action.sa_handler = OnStopSignal;
  sigfillset(&action.sa_mask);
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
}

void OnBrokenPipe(int) {}

void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    log::Warn("descriptor limit not raised", {{"hard_limit", limit.rlim_max}});
  }
}

}  // namespace

struct Program::Waiting {
  int pipe_read = -1;
  int pipe_write = -1;
  std::mutex mutex;
  absl::Status failure;

  void WakeUp() {
    const char byte = 0;
    [[maybe_unused]] ssize_t written = write(pipe_write, &byte, 1);
  }
};

Program::Program(ProgramOptions options, clock::Clock& clock)
    : options_(options), clock_(clock), waiting_(std::make_unique<Waiting>()) {
  int ends[2] = {-1, -1};
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
    waiting_->failure = absl::ErrnoToStatus(errno, "create the signal pipe");
  }
  waiting_->pipe_read = ends[0];
  waiting_->pipe_write = ends[1];
}

Program::~Program() {
  if (g_signal_pipe == waiting_->pipe_write) {
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    g_signal_pipe = -1;
  }
  close(waiting_->pipe_read);
  close(waiting_->pipe_write);
}

void Program::Add(Part& part) { parts_.push_back(&part); }

void Program::RequestStop() { waiting_->WakeUp(); }

void Program::Fail(const absl::Status& error) {
  {
    std::lock_guard lock(waiting_->mutex);
    if (waiting_->failure.ok()) waiting_->failure = error;
  }
  log::Error("failed; stopping", {{"error", error}});
  waiting_->WakeUp();
}

size_t Program::StartParts(absl::Status& failure) {
  for (size_t i = 0; i < parts_.size(); ++i) {
    failure = parts_[i]->Start();
    if (!failure.ok()) {
      log::Error("start failed", {{"part", parts_[i]->name()}, {"error", failure}});
      return i;
    }
    log::Debug("started", {{"part", parts_[i]->name()}});
  }
  return parts_.size();
}

void Program::StopParts(size_t started) {
  std::jthread watchdog([this](std::stop_token finished) {
    if (!clock_.Wait(options_.drain_timeout + options_.stop_timeout, finished)) return;
    log::Error("parts did not stop in time; ending the process");
    _exit(kExitDrainTimeout);
  });
  const absl::Duration end = clock_.MonotonicNow() + options_.drain_timeout;
  for (size_t i = started; i-- > 0;) {
    log::Debug("draining", {{"part", parts_[i]->name()}});
    parts_[i]->Drain(std::max(absl::ZeroDuration(), end - clock_.MonotonicNow()));
    parts_[i]->Stop();
  }
}

int Program::Run() {
  absl::Status failure = waiting_->failure;
  if (!failure.ok()) {
    log::Error("start failed", {{"error", failure}});
    return kExitFailed;
  }
  g_signal_pipe = waiting_->pipe_write;
  InstallStopSignals();
  const size_t started = StartParts(failure);
  char reason = 0;
  if (failure.ok()) {
    log::Info("running");
    pollfd readable{waiting_->pipe_read, POLLIN, 0};
    while (poll(&readable, 1, -1) < 0 && errno == EINTR) {
    }
    [[maybe_unused]] ssize_t got = read(waiting_->pipe_read, &reason, 1);
    log::Info("draining", {{"signal", static_cast<int>(reason)},
                           {"drain_timeout_seconds", options_.drain_timeout}});
  }
  StopParts(started);
  {
    std::lock_guard lock(waiting_->mutex);
    failure.Update(waiting_->failure);
  }
  log::Info("stopped", {{"failed", !failure.ok()}});
  return failure.ok() ? kExitOk : kExitFailed;
}

void PrepareProcess(const char* argv0) {
  absl::InitializeSymbolizer(argv0);
  absl::InstallFailureSignalHandler({});
  // A handler, not SIG_IGN: exec resets handlers, so child processes keep the default.
  struct sigaction action = {};
  action.sa_handler = OnBrokenPipe;
  action.sa_flags = SA_RESTART;
  sigaction(SIGPIPE, &action, nullptr);
  RaiseDescriptorLimit();
}

std::optional<int> LoadOrExplain(OptionSet& options, int argc, const char* const* argv,
                                 CommandLine& loaded) {
  auto result = options.Load(argc, argv, ProcessEnvironment());
  if (!result.ok()) {
    std::cerr << result.status().message() << "\n";
    return kExitUsage;
  }
  loaded = *std::move(result);
  if (!loaded.text) return std::nullopt;
  std::cout << *loaded.text;
  return kExitOk;
}

}  // namespace coder::server
