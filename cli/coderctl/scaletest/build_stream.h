#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/coderctl/scaletest/build_board.h"
#include "cli/coderctl/session.h"
#include "libs/clock/clock.h"

namespace coder::cli::scaletest {

/// One watch of all builds, from which a load test learns everything. A dropped stream is resumed
/// where it was. Any thread.
class BuildStream {
 public:
  /// Opens the watch and returns once nothing from now on can be missed. `template_id` narrows it;
  /// empty: every template. Both references must outlive it. Errors of the watch, CANCELLED after a
  /// stop.
  static absl::StatusOr<std::unique_ptr<BuildStream>> Open(const Session& session,
                                                           clock::Clock& clock,
                                                           const std::string& template_id,
                                                           const std::stop_token& stop);
  ~BuildStream();
  BuildStream(const BuildStream&) = delete;
  BuildStream& operator=(const BuildStream&) = delete;

  /// Waits until `holds` does; it is called under a lock after every batch of events.
  /// DEADLINE_EXCEEDED after `limit`, CANCELLED after a stop, the stream's error once it has ended
  /// for good.
  absl::Status WaitUntil(const std::function<bool(const BuildBoard&)>& holds, absl::Duration limit,
                         const std::stop_token& stop);

  /// Waits for the end of a build and returns it. Errors of WaitUntil.
  absl::StatusOr<ObservedBuild> WaitForEnd(const std::string& workspace_id, int32_t number,
                                           absl::Duration limit, const std::stop_token& stop);

  /// Calls `look` under the lock.
  void Look(const std::function<void(const BuildBoard&)>& look);

  /// How often the stream was dropped and resumed.
  int drops() const { return drops_; }

 private:
  BuildStream(const Session& session, clock::Clock& clock, std::string template_id);
  void Run(const std::stop_token& stop);
  absl::Status ReadOnce(const std::stop_token& stop);

  const Session& session_;
  clock::Clock& clock_;
  const std::string template_id_;
  std::atomic<int> drops_ = 0;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  BuildBoard board_;
  std::string token_;
  absl::Status ended_;
  std::jthread thread_;
};

}  // namespace coder::cli::scaletest
