#include "libs/process/guard.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>

namespace coder::process {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

constexpr auto kEndWithin = std::chrono::seconds(5);
constexpr int kBetweenLooksMs = 2;
constexpr int kOrders = 0;
constexpr int kReports = 1;

[[noreturn]] void Fail(const GuardPlan& plan, GuardStep step) {
  const GuardFailure failure = {step, errno};
  (void)!::write(plan.failure_fd, &failure, sizeof(failure));
  ::_exit(127);
}

[[noreturn]] void ExecChild(const GuardPlan& plan, pid_t guard) {
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::setsid();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  // The guard may have died before the line above took effect.
  if (::getppid() != guard) ::_exit(127);
  if (::dup2(plan.stdin_fd, 0) < 0 || ::dup2(plan.stdout_fd, 1) < 0 ||
      ::dup2(plan.stderr_fd, 2) < 0 || ::chdir(plan.cwd) != 0) {
    Fail(plan, GuardStep::kExecute);
  }
  // Libraries may have opened descriptors without O_CLOEXEC (value 4: CLOSE_RANGE_CLOEXEC).
  ::syscall(SYS_close_range, 3U, ~0U, 4U);
  ::umask(077);
  ::execve(plan.program, plan.argv, plan.envp);
  Fail(plan, GuardStep::kExecute);
}

// The guard's own state once the child is started.
class Guard {
 public:
  Guard(pid_t child, int children, int signals)
      : child_(child), children_(children), signals_(signals) {}

  [[noreturn]] void Run() {
    while (child_ > 0) {
      std::array<pollfd, 2> fds = {pollfd{kOrders, POLLIN, 0}, pollfd{signals_, POLLIN, 0}};
      if (::poll(fds.data(), fds.size(), -1) < 0) continue;
      if (fds[1].revents != 0) TakeSignals();
      if (fds[0].revents != 0) TakeOrder();
      Reap();
    }
    const bool all_ended = EndAll(std::chrono::steady_clock::now() + kEndWithin);
    const GuardReport report = {status_, all_ended};
    (void)!::write(kReports, &report, sizeof(report));
    ::_exit(0);
  }

 private:
  void TakeSignals() const {
    signalfd_siginfo info;
    (void)!::read(signals_, &info, sizeof(info));
  }

  void TakeOrder() {
    char order = 0;
    const ssize_t got = ::read(kOrders, &order, 1);
    if (got < 0) return;
    if (got == 0) {
      EndAll(SteadyTime::max());
      ::_exit(0);
    }
    ::kill(-child_, SignalFor(static_cast<GuardOrder>(order)));
  }

  static int SignalFor(GuardOrder order) {
    switch (order) {
      case GuardOrder::kInterrupt:
        return SIGINT;
      case GuardOrder::kPause:
        return SIGSTOP;
      case GuardOrder::kGoOn:
        return SIGCONT;
      case GuardOrder::kKill:
        break;
    }
    return SIGKILL;
  }

  // False once there is no child at all.
  bool Reap() {
    while (true) {
      int status = 0;
      const pid_t ended = ::waitpid(-1, &status, WNOHANG);
      if (ended == 0) return true;
      if (ended < 0 && errno == EINTR) continue;
      if (ended < 0) return false;
      if (ended != child_) continue;
      status_ = status;
      child_ = -1;
    }
  }

  // Whoever loses its parent this way is our child by the next look.
  bool EndAll(SteadyTime give_up) {
    while (true) {
      KillChildren();
      if (!Reap()) return true;
      if (std::chrono::steady_clock::now() >= give_up) return false;
      ::poll(nullptr, 0, kBetweenLooksMs);
    }
  }

  // The kernel lists them in decimal, a space after each. None of them can have given its number
  // to another process: only we reap.
  void KillChildren() const {
    std::array<char, 4096> text;
    pid_t pid = 0;
    off_t offset = 0;
    while (true) {
      const ssize_t got = ::pread(children_, text.data(), text.size(), offset);
      if (got <= 0) return;
      offset += got;
      for (ssize_t i = 0; i < got; ++i) {
        const char c = text[static_cast<std::size_t>(i)];
        if (c >= '0' && c <= '9') {
          pid = pid * 10 + (c - '0');
        } else if (pid > 0) {
          ::kill(pid, SIGKILL);
          pid = 0;
        }
      }
    }
  }

  pid_t child_;
  const int children_;
  const int signals_;
  int status_ = 0;
};

}  // namespace

void RunGuard(const GuardPlan& plan) {
  ::setsid();
  ::prctl(PR_SET_NAME, "run-guard", 0, 0, 0);
  ::signal(SIGCHLD, SIG_DFL);
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) Fail(plan, GuardStep::kSetUp);
  const int children = ::open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
  if (children < 0) Fail(plan, GuardStep::kSetUp);
  sigset_t of_children;
  sigemptyset(&of_children);
  sigaddset(&of_children, SIGCHLD);
  const int signals = ::signalfd(-1, &of_children, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) Fail(plan, GuardStep::kSetUp);
  const pid_t guard = ::getpid();
  const pid_t child = ::_Fork();
  if (child == 0) ExecChild(plan, guard);
  if (child < 0) Fail(plan, GuardStep::kFork);
  // Nothing else may stay open here: above all not the owner's end of the orders, whose closing
  // is the news of its death.
  if (::dup2(plan.order_fd, kOrders) < 0 || ::dup2(plan.report_fd, kReports) < 0 ||
      ::dup2(children, 2) < 0 || ::dup2(signals, 3) < 0 ||
      ::syscall(SYS_close_range, 4U, ~0U, 0U) != 0) {
    ::kill(child, SIGKILL);
    ::_exit(127);
  }
  Guard(child, 2, 3).Run();
}

}  // namespace coder::process
