#pragma once

#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "libs/lifecycle/ids.h"

namespace coder::api {

/// Carries a hint from whoever changed something to whoever waits for it, within this process.
/// Lost hints cost time only: listeners also look by themselves. Listeners run on the thread that
/// pokes, must return at once, and must outlive the pokes. Thread-safe.
template <typename Subject>
class Signal {
 public:
  using Listener = std::function<void(const Subject&)>;

  void Subscribe(Listener listener) {
    const std::lock_guard lock(mutex_);
    listeners_.push_back(std::move(listener));
  }

  void Poke(const Subject& subject) const {
    const std::lock_guard lock(mutex_);
    for (const Listener& listener : listeners_) listener(subject);
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Listener> listeners_;
};

/// Poked after a commit that put a job into an organization's queue.
using JobQueueSignal = Signal<lifecycle::OrganizationId>;

/// Poked after a commit that added to a job's log or ended the job.
using JobLogSignal = Signal<lifecycle::JobId>;

}  // namespace coder::api
