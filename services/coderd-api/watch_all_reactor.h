#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "libs/auth/caller.h"
#include "libs/clock/clock.h"
#include "libs/fanout/delivery_check.h"
#include "libs/fanout/event_pump.h"
#include "libs/fanout/watch_hub.h"
#include "libs/storage/event_log_store.h"
#include "libs/storage/workspace_snapshot_store.h"
#include "services/coderd-api/call.h"
#include "services/coderd-api/watch_encoder.h"
#include "services/coderd-api/watch_metrics.h"
#include "services/coderd-api/watch_sessions.h"
#include "services/coderd-api/watch_snapshot.h"
#include "services/coderd-api/watch_terms.h"
#include "services/coderd-api/work_queue.h"

namespace coder::api {

/// What all watches share. Everything must outlive them.
struct WatchParts {
  const CallGate& gate;
  clock::Clock& clock;
  fanout::WatchHub& hub;
  fanout::EventPump& pump;
  storage::EventLogStore& log;
  storage::WorkspaceSnapshotStore& states;
  WatchSessions& sessions;
  WatchEncoder& encoder;
  WatchMetrics& metrics;
  /// Short steps that never wait, and those that wait for the database.
  WorkQueue& steps;
  WorkQueue& blocking;
  /// Asks for the check of rights to be made now.
  std::function<void()> check_rights;
  bool enabled = false;
  /// A watch ends itself at an age between four fifths of this and all of it.
  absl::Duration max_age = absl::Minutes(36);
  /// A write that takes longer ends the watch.
  absl::Duration write_limit = absl::Seconds(10);
  /// How long the ended stream of a reader that does not read is left to finish.
  absl::Duration finish_grace = absl::Seconds(2);
  /// Bytes of events in one response; a larger event comes alone.
  size_t max_batch_bytes = size_t{256} * 1024;
};

/// One WatchAllWorkspaceBuilds stream. Its steps run one at a time: in the thread of gRPC that
/// ended the last write, else on a queue, so that no thread of NATS or the hub waits for it; what
/// may block has a queue of its own. At most one write is in flight. Lives until gRPC is done with
/// it.
class WatchAllReactor : public grpc::ServerWriteReactor<grpc::ByteBuffer>,
                        public WatchSession,
                        public std::enable_shared_from_this<WatchAllReactor> {
 public:
  /// Begins to serve a stream; the reactor keeps itself alive.
  static WatchAllReactor* Start(WatchParts& parts, grpc::CallbackServerContext* context,
                                const grpc::ByteBuffer* request);

  WatchAllReactor(WatchParts& parts, grpc::CallbackServerContext* context,
                  const grpc::ByteBuffer& request)
      : parts_(parts), context_(context), began_(parts.clock.MonotonicNow()), request_(request) {}

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

  auth::CallerPtr caller() const override;
  void Recheck(const auth::CallerPtr& caller, absl::Duration checked_at) override;
  void End(const absl::Status& status) override;
  WatchState Tick(absl::Duration now) override;
  WatchView View(absl::Duration now) const override;

 private:
  // What the steps wait for.
  enum class Phase { kAdmitting, kSnapshot, kFollowing, kFinished };

  void Wake();
  void Drive();
  void RunStep();
  void Admit();
  absl::Status AdmitCall();
  absl::Status NamingBounds(const absl::Status& refusal);
  absl::Status Open(std::optional<events::ResumeToken> start);
  void RunBlocking(std::function<void()> task);
  void RetryIn(absl::Duration delay);
  bool IsOver(absl::Duration now);
  std::shared_ptr<const events::WatchRights> FreshRights();
  void TakeSnapshotStep();
  void Follow();
  void Send(const fanout::Step& step);
  void Write(grpc::ByteBuffer buffer);
  void FinishWith(const absl::Status& status);

  WatchParts& parts_;
  grpc::CallbackServerContext* const context_;
  const absl::Duration began_;
  grpc::ByteBuffer request_;
  std::shared_ptr<WatchAllReactor> self_;
  std::atomic<int> signals_ = 0;
  std::atomic<bool> cancelled_ = false;
  std::atomic<bool> write_in_flight_ = false;
  std::atomic<bool> write_failed_ = false;
  std::atomic<bool> blocked_ = false;
  std::atomic<bool> retries_ = false;
  std::atomic<WatchState> state_ = WatchState::kFollowing;

  // Of the steps; blocking tasks have them while `blocked_`.
  Phase phase_ = Phase::kAdmitting;
  WatchTerms terms_;
  std::unique_ptr<WatchSnapshot> snapshot_;
  std::optional<v1::WatchAllWorkspaceBuildsResponse> ready_;
  grpc::ByteBuffer buffer_;
  std::optional<fanout::DeliveryCheck> check_;
  bool caught_up_ = false;
  // The newest event of the write in flight, if its delay is of interest.
  int64_t written_time_us_ = 0;
  absl::Duration retry_at_ = absl::ZeroDuration();
  absl::Duration end_at_ = absl::InfiniteDuration();

  mutable std::mutex mutex_;
  // All below guarded by mutex_.
  auth::CallerPtr caller_;
  std::shared_ptr<fanout::Watcher> watcher_;
  std::shared_ptr<const events::WatchRights> rights_;
  absl::Duration rights_checked_at_ = absl::ZeroDuration();
  std::optional<absl::Status> ending_;
  absl::Duration write_began_ = absl::InfiniteDuration();
  absl::Duration finished_at_ = absl::InfiniteDuration();
  bool done_ = false;
};

}  // namespace coder::api
