#pragma once

#include <functional>
#include <mutex>
#include <utility>

namespace coder::process {

// Whether what somebody runs is to stand still for now. Thread-safe.
class Pause {
 public:
  // Hears of changes while it lives; one at a time.
  class Listener {
   public:
    // `changed` is called from the thread that makes a change, and must not touch the pause. A null
    // pause never changes.
    Listener(Pause* pause, std::function<void()> changed) : pause_(pause) {
      if (pause_) pause_->SetListener(std::move(changed));
    }
    ~Listener() {
      if (pause_) pause_->SetListener(nullptr);
    }
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

   private:
    Pause* const pause_;
  };

  void Set(bool is_on) {
    const std::lock_guard lock(mutex_);
    is_on_ = is_on;
    if (changed_) changed_();
  }

  bool is_on() const {
    const std::lock_guard lock(mutex_);
    return is_on_;
  }

 private:
  void SetListener(std::function<void()> changed) {
    const std::lock_guard lock(mutex_);
    changed_ = std::move(changed);
  }

  mutable std::mutex mutex_;
  bool is_on_ = false;
  std::function<void()> changed_;
};

}  // namespace coder::process
