#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "libs/clock/clock.h"
#include "libs/server/options.h"

namespace coder::server {

// One long-lived piece of a program: a listener, a loop, a connection pool. Start, Drain and Stop
// are called once each, in this order, from the thread that runs the program.
class Part {
 public:
  virtual ~Part() = default;

  // For log lines, as in "grpc-server".
  virtual std::string name() const = 0;

  // Begins to work and returns when it does; any error ends the program with its sentence.
  virtual absl::Status Start() = 0;

  // Takes no new work and returns when what is in hand is done or `budget` has passed.
  virtual void Drain(absl::Duration budget) { (void)budget; }

  // Abandons what is still in hand, joins the part's threads and releases what it holds.
  virtual void Stop() = 0;
};

// How a program ended.
enum ExitCode : int {
  kExitOk = 0,            // drained within its time
  kExitFailed = 1,        // a part could not start, or failed while running
  kExitUsage = 64,        // the configuration is wrong (EX_USAGE)
  kExitDrainTimeout = 75  // parts did not stop in time; the process was ended hard (EX_TEMPFAIL)
};

struct ProgramOptions {
  // Time for all Drain calls together.
  absl::Duration drain_timeout = absl::Seconds(25);
  // Time for all Stop calls after that, until the process is ended hard.
  absl::Duration stop_timeout = absl::Seconds(5);
};

// The parts of a program, each after those it needs: they start in order, and drain and stop one
// by one in reverse order. Parts are not owned and must outlive Run.
class Program {
 public:
  Program(ProgramOptions options, clock::Clock& clock);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  void Add(Part& part);

  // Runs until SIGTERM, SIGINT, RequestStop or Fail, then drains and stops everything and returns
  // an ExitCode. The first signal drains; it restores the default disposition, so the second one
  // kills. If a part hangs, the process is ended with kExitDrainTimeout. One Run per process.
  int Run();

  // Asks Run to drain and return. Any thread, any time.
  void RequestStop();

  // As RequestStop, but the error is logged and Run returns kExitFailed. The first error wins.
  void Fail(const absl::Status& error);

 private:
  struct Waiting;

  size_t StartParts(absl::Status& failure);
  void StopParts(size_t started);

  const ProgramOptions options_;
  clock::Clock& clock_;
  std::vector<Part*> parts_;
  std::unique_ptr<Waiting> waiting_;
};

// What main does first: prints a stack on a crash, ignores broken pipes (children do not inherit
// that) and raises the descriptor limit to the hard limit.
void PrepareProcess(const char* argv0);

// Loads `options` as main does: prints help, version or configuration to stdout, or all problems
// to stderr. Returns the exit code with which main must end, or nothing to go on with `loaded`.
std::optional<int> LoadOrExplain(OptionSet& options, int argc, const char* const* argv,
                                 CommandLine& loaded);

}  // namespace coder::server
