#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>

#include "coder/api/v1/build.grpc.pb.h"
#include "libs/storage/job_view_store.h"
#include "services/coderd-api/call.h"
#include "services/coderd-api/work_queue.h"

namespace coder::api {

/// A reader of a log that waits for more.
class LogFollower {
 public:
  virtual ~LogFollower() = default;

  /// Looks at the log again. Returns at once.
  virtual void LookAgain() = 0;
};

/// The followers that wait, by job. Thread-safe.
class LogFollowers {
 public:
  void Park(const lifecycle::JobId& job, std::shared_ptr<LogFollower> follower);

  /// More may be in the log of a job, or of any.
  void Wake(const lifecycle::JobId& job);
  void WakeAll();

  /// From now on every follower ends and tells its caller to go elsewhere.
  void Drain();
  bool draining() const { return draining_; }

 private:
  std::atomic<bool> draining_ = false;
  std::mutex mutex_;
  // Guarded by mutex_.
  std::multimap<lifecycle::JobId, std::shared_ptr<LogFollower>> parked_;
};

/// What log streams share. All must outlive the streams.
struct StreamJobLogsParts {
  const CallGate& gate;
  storage::JobViewStore& store;
  WorkQueue& work;
  LogFollowers& followers;
};

using StreamJobLogsReactorBase = grpc::ServerWriteReactor<v1::StreamJobLogsResponse>;

/// Begins to serve one StreamJobLogs call. The reactor frees itself; `request` is copied. The
/// caller's rights are looked at before every read of the log, so that a stream ends within
/// seconds of losing them.
StreamJobLogsReactorBase* StartStreamJobLogs(StreamJobLogsParts& parts,
                                             grpc::CallbackServerContext* context,
                                             const v1::StreamJobLogsRequest* request);

/// The part of BuildService that streams logs.
class BuildLogService
    : public v1::BuildService::WithCallbackMethod_StreamJobLogs<v1::BuildService::Service> {
 public:
  /// The parts must outlive the service.
  explicit BuildLogService(StreamJobLogsParts& parts) : parts_(parts) {}

  StreamJobLogsReactorBase* StreamJobLogs(grpc::CallbackServerContext* context,
                                          const v1::StreamJobLogsRequest* request) override {
    return StartStreamJobLogs(parts_, context, request);
  }

 private:
  StreamJobLogsParts& parts_;
};

}  // namespace coder::api
