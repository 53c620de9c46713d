#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "absl/status/status.h"
#include "libs/lifecycle/ids.h"

namespace coder::api {

/// An open stream of a daemon, as those see it that may have to end it.
class AcquireStream {
 public:
  virtual ~AcquireStream() = default;

  /// The daemon, once it has introduced itself; nil before.
  virtual lifecycle::ProvisionerDaemonId daemon() const = 0;

  /// Ends the stream with this status. Jobs on their way go back to the queue.
  virtual void End(const absl::Status& status) = 0;

  /// Withdraws its acquires and asks the daemon to reconnect elsewhere.
  virtual void Drain() = 0;
};

/// All open streams of this process. Thread-safe.
class AcquireStreamSet {
 public:
  void Add(std::shared_ptr<AcquireStream> stream) {
    const std::lock_guard lock(mutex_);
    streams_.insert(std::move(stream));
  }

  void Remove(const std::shared_ptr<AcquireStream>& stream) {
    const std::lock_guard lock(mutex_);
    streams_.erase(stream);
  }

  std::vector<std::shared_ptr<AcquireStream>> All() const {
    const std::lock_guard lock(mutex_);
    return {streams_.begin(), streams_.end()};
  }

 private:
  mutable std::mutex mutex_;
  std::set<std::shared_ptr<AcquireStream>> streams_;
};

}  // namespace coder::api
