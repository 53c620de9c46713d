#pragma once

namespace coder::process {

// What a guard starts, and the pipes by which it hears from its owner and answers. Everything
// stays the caller's.
struct GuardPlan {
  const char* program;
  char* const* argv;
  char* const* envp;
  const char* cwd;
  // Of the child.
  int stdin_fd, stdout_fd, stderr_fd;
  // Takes one GuardFailure if the child cannot be started; is closed once it runs.
  int failure_fd;
  // Gives one GuardOrder a byte; its end means that the owner is gone.
  int order_fd;
  // Takes one GuardReport when everything has ended.
  int report_fd;
};

enum class GuardStep { kSetUp, kFork, kExecute };

// The step that failed and its errno.
struct GuardFailure {
  GuardStep step;
  int error;
};

enum class GuardOrder : char { kInterrupt = 'i', kKill = 'k', kPause = 'p', kGoOn = 'g' };

struct GuardReport {
  // Of the child, as waitpid gives it.
  int status;
  // False if a descendant outlived SIGKILL for five seconds.
  bool all_ended;
};

// Runs in a process forked for it, with all signals blocked, and never returns. It starts the
// child in a session of its own and is the parent of every descendant whose own parent died, so
// that none can leave: when the child ends, or the owner dies however it dies, it kills what is
// left below it, again until nothing is, and ends. Makes system calls only: between fork and here
// the process had other threads, whose locks stay held.
[[noreturn]] void RunGuard(const GuardPlan& plan);

}  // namespace coder::process
