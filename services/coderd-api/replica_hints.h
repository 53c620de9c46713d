#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace coder::api {

/// Poked between replicas after a commit that changed somebody's rights.
inline constexpr char kRightsHint[] = "coderd.rights";
/// Poked between replicas after a commit that put a job into a queue.
inline constexpr char kJobQueueHint[] = "coderd.job-queue";

/// Hints from this replica of coderd-api to the others: what happened here is worth a look there. A
/// lost hint costs time only, because whoever hears it also looks by itself. Thread-safe, but for
/// Hear and SetCarrier, which are called before anything starts.
class ReplicaHints {
 public:
  struct Listener {
    std::string subject;
    std::function<void()> heard;
  };

  /// Has `heard` called for every hint of another replica on `subject`, from a thread of the
  /// carrier: it must return at once.
  void Hear(std::string subject, std::function<void()> heard) {
    listeners_.push_back({std::move(subject), std::move(heard)});
  }

  /// What brings hints to the other replicas; without one they go nowhere. Must neither block nor
  /// fail.
  void SetCarrier(std::function<void(const std::string& subject)> carrier) {
    carrier_ = std::move(carrier);
  }

  /// Tells the other replicas. Neither blocks nor fails.
  void Send(const std::string& subject) const {
    if (carrier_) carrier_(subject);
  }

  const std::vector<Listener>& listeners() const { return listeners_; }

 private:
  std::vector<Listener> listeners_;
  std::function<void(const std::string&)> carrier_;
};

}  // namespace coder::api
