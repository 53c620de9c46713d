#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

namespace coder::api {

/// Runs short tasks that wait for the database on a few threads, for reactors whose own threads
/// must not. Thread-safe.
class WorkQueue {
 public:
  /// At most `capacity` tasks wait at once.
  WorkQueue(int threads, size_t capacity);
  /// Runs what still waits, then joins.
  ~WorkQueue();
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  /// Queues a task. False, and the task will never run, when too many wait already.
  [[nodiscard]] bool Post(std::function<void()> task);

 private:
  void Run(std::stop_token stop);

  const size_t capacity_;
  std::mutex mutex_;
  std::condition_variable_any posted_;
  std::deque<std::function<void()>> tasks_;  // guarded by mutex_
  std::vector<std::jthread> threads_;
};

}  // namespace coder::api
