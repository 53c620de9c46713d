#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/process/line_splitter.h"
#include "libs/process/pause.h"

namespace coder::process {

// The name of the one variable added to a child's environment: a random mark by which its processes
// are found and ended if their guard was killed.
inline constexpr char kRunMarkVariable[] = "CODER_PROCESS_RUN";

// A program to run to its end, with nothing taken over from this process but the user it runs as.
struct ChildSpec {
  // Absolute path; PATH is not searched.
  std::string program;
  // Arguments after argv[0] (which is `program`).
  std::vector<std::string> args;
  // The whole environment as NAME=VALUE; nothing is inherited. kRunMarkVariable is added.
  std::vector<std::string> env;
  // Working directory; must exist.
  std::string cwd;
  // Called from the thread in RunChild, in the order of each stream. Unset discards the stream.
  LineSink on_stdout_line;
  LineSink on_stderr_line;
  // Longest line handed to on_stdout_line / on_stderr_line, in bytes; longer lines are split.
  std::size_t max_stdout_line_bytes = 1024;
  std::size_t max_stderr_line_bytes = 1024;
  // Bytes of both streams together that are handed on; the rest is read, counted and dropped.
  std::uint64_t max_output_bytes = 64 << 20;
  // Time between the interrupt (or the timeout) and the kill of the whole group.
  absl::Duration grace = absl::Minutes(3);
  // Longest run by the monotonic clock; reaching it interrupts the child as a cancel does.
  absl::Duration timeout = absl::InfiniteDuration();
};

// How a child ended. Exactly one of `exit_code` and `signal` is set.
struct ChildExit {
  std::optional<int> exit_code;
  std::optional<int> signal;
  // SIGINT was sent to the group, because of the stop token or the timeout.
  bool interrupted = false;
  // SIGKILL was sent to the group while the child was still running.
  bool killed = false;
  // `timeout` was reached.
  bool timed_out = false;
  // Bytes read from both streams, and those of them that were dropped.
  std::uint64_t output_bytes = 0;
  std::uint64_t discarded_bytes = 0;
};

// Two levels of cancel. `interrupt` sends SIGINT to the child's group and SIGKILL after the grace;
// `kill` sends SIGKILL at once. Both may be requested from any thread, also before the start.
struct ChildStop {
  std::stop_token interrupt;
  std::stop_token kill;
  // Stops the child's group (SIGSTOP) while it is on; time limits go on, and a kill ends a stopped
  // child too. Null: never. Outlives the run.
  Pause* pause = nullptr;
};

// Runs the child in a session of its own below a guard process, and blocks until it has ended, its
// output is read, and no descendant of it is left or unreaped, in whatever session it put itself.
// If this process dies, by SIGKILL too, the guard ends all of them at once. The first call makes
// this process the reaper of orphaned descendants, for the case that a guard is killed.
//
// A child that exits non-zero or dies by a signal is an OK result. Errors: INVALID_ARGUMENT (the
// specification is not usable), NOT_FOUND (no such program or directory), PERMISSION_DENIED,
// CANCELLED (stopped before the start), RESOURCE_EXHAUSTED (no descriptors, memory or processes),
// INTERNAL (another operating system failure).
absl::StatusOr<ChildExit> RunChild(const ChildSpec& spec, const ChildStop& stop);

// One phrase for a log line or an error: "exited with status 1", "was killed by signal 9".
std::string DescribeExit(const ChildExit& exit);

}  // namespace coder::process
