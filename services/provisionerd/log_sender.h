#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "libs/clock/clock.h"
#include "services/provisionerd/job_client.h"

namespace coder::provisionerd {

/// Sends one job's log in order and in batches, a few times a second, from its own thread. At most
/// 4,096 lines wait; beyond that lines are dropped, counted, and one line says so.
class LogSender {
 public:
  /// Both references must outlive the sender.
  LogSender(JobClient& client, clock::Clock& clock, Lease lease);
  /// Closes with no time left.
  ~LogSender();
  LogSender(const LogSender&) = delete;
  LogSender& operator=(const LogSender&) = delete;

  /// Takes a line. Never waits for the network. Any thread.
  void Add(const EngineLogLine& line);

  /// A line of the daemon's own.
  void Say(const std::string& stage, LogLevel level, const std::string& text);

  /// Sends what is left, for at most `budget`, and stops.
  void Close(absl::Duration budget);

 private:
  void Run(std::stop_token stop);
  /// Sends what waits; true when there is nothing left to send.
  bool Flush();

  JobClient& client_;
  clock::Clock& clock_;
  const Lease lease_;

  std::mutex mutex_;
  std::vector<TimedLogLine> waiting_;
  int64_t dropped_ = 0;
  bool closed_ = false;

  /// Of the sending thread.
  std::vector<TimedLogLine> batch_;
  int64_t sent_ = 0;

  std::jthread thread_;
};

}  // namespace coder::provisionerd
