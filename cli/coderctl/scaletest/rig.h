#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "cli/coderctl/interrupts.h"
#include "cli/coderctl/scaletest/api.h"
#include "cli/coderctl/scaletest/build_stream.h"
#include "cli/coderctl/scaletest/plan.h"
#include "cli/coderctl/scaletest/progress.h"
#include "cli/coderctl/session.h"
#include "coder/api/v1/template.pb.h"
#include "libs/clock/system_clock.h"

namespace coder::cli::scaletest {

/// Turns the first Ctrl-C into the end of the test and the second into the end of the cleanup.
class Stops {
 public:
  /// Blocks the signals, so make it before whatever starts a thread, a connection included.
  Stops();
  std::stop_token test() const { return test_.get_token(); }
  std::stop_token cleanup() const { return cleanup_.get_token(); }

 private:
  Interrupts interrupts_;
  clock::SystemClock clock_;
  std::stop_source test_;
  std::stop_source cleanup_;
  std::jthread thread_;
};

/// What a load test works with.
class Rig {
 public:
  /// Finds the template (none, when its name is empty) and opens the stream. Errors of both.
  static absl::StatusOr<std::unique_ptr<Rig>> Open(const SessionOptions& session,
                                                   const LoadOptions& options);

  const LoadOptions options;
  /// Part of every name the run makes.
  const std::string run;
  clock::SystemClock clock;
  const std::unique_ptr<Stops> stops;
  const Session session;
  Api api;
  Progress progress;
  api::v1::Template workspace_template;
  std::unique_ptr<BuildStream> stream;

 private:
  Rig(std::unique_ptr<Stops> stops, Session session, const LoadOptions& options);
};

}  // namespace coder::cli::scaletest
