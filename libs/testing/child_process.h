#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace coder::testing {

/// How to run a program under test.
struct ChildProcessOptions {
  /// Absolute path of the program, then its arguments.
  std::vector<std::string> argv;
  /// Where stdout and stderr go, appended.
  std::string log_path;
  /// Run as the system user "postgres"; only root may ask for it.
  bool as_postgres = false;
  /// What the kernel sends it when this process dies.
  int signal_when_orphaned = 9;
};

/// A running program, killed when destroyed and when this process dies. It must be started by a
/// thread that lives as long as it. One thread at a time.
class ChildProcess {
 public:
  /// Starts a program; ends the test process with a sentence when it cannot.
  explicit ChildProcess(const ChildProcessOptions& options);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  /// Sends a signal and waits for the end. Does nothing when it has ended already.
  void End(int signal);

  /// Waits for the end and returns the exit code, or 128 + signal.
  int Wait();

  /// Whether it has not ended yet.
  bool Running();

  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
  bool reaped_ = false;
};

}  // namespace coder::testing
