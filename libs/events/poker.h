#pragma once

namespace coder::events {

/// Tells the relay that events were committed, so that it looks now and not at its next turn. A
/// hint: the relay also looks by itself, so a lost one costs time and nothing else. Thread-safe.
class OutboxPoker {
 public:
  virtual ~OutboxPoker() = default;

  /// Called after a commit. Neither blocks nor fails.
  virtual void Poke() = 0;
};

/// Pokes nobody, for when there is no way to: the relay then finds the events by itself.
class NullOutboxPoker : public OutboxPoker {
 public:
  void Poke() override {}
};

}  // namespace coder::events
