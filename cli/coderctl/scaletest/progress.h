#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "absl/time/time.h"
#include "libs/clock/clock.h"

namespace coder::cli::scaletest {

/// Tells standard error where a test stands: a line that is rewritten each second on a terminal,
/// else one every five seconds. Any thread.
class Progress {
 public:
  /// `clock` must outlive it.
  explicit Progress(clock::Clock& clock);

  /// Ends the phase before with a last line, and begins one of `total` things (0: how many is
  /// not known). `note`, if any, is
  /// called for the end of each line.
  void Begin(const std::string& phase, int total, std::function<std::string()> note = nullptr);
  /// One more thing of the phase is done, or has failed.
  void Done();
  void Failed();
  /// How many are done by now.
  void SetDone(int done);
  /// Ends the last phase.
  void End();

 private:
  void Run(const std::stop_token& stop);
  std::string Line();
  void Print(bool last);

  clock::Clock& clock_;
  const bool terminal_;
  std::mutex mutex_;
  std::string phase_;
  std::function<std::string()> note_;
  absl::Duration begun_;
  int total_ = 0;
  int done_ = 0;
  int failed_ = 0;
  std::jthread thread_;
};

}  // namespace coder::cli::scaletest
