#pragma once

#include <grpcpp/channel.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "coder/api/v1/watch.pb.h"
#include "tests/faults/history.h"

namespace grpc {
class ClientContext;
}

namespace coder::faults {

// One client that wants every event it may see: it begins with a snapshot, writes down everything
// it is sent and, whenever its stream ends, goes on from its last token at the next replica.
class Watching {
 public:
  struct Options {
    std::string name;
    std::string token;
    // Begins with a snapshot every time instead of resuming.
    bool always_snapshot = false;
    // Reads nothing for so long after each message.
    absl::Duration slowness;
  };

  Watching(Options options, std::vector<std::shared_ptr<grpc::Channel>> replicas, History& history)
      : options_(std::move(options)), replicas_(std::move(replicas)), history_(history) {}

  // Watches until stopped.
  void Run(std::stop_token stop);

  // Reads without pauses from now on.
  void Hurry() { hurries_ = true; }

  // Whether the first snapshot is complete.
  bool has_begun() const { return has_begun_; }

 private:
  void WatchOnce(grpc::Channel& replica, std::stop_token stop);
  void Record(const api::v1::WatchAllWorkspaceBuildsResponse& response);

  const Options options_;
  const std::vector<std::shared_ptr<grpc::Channel>> replicas_;
  History& history_;
  std::string resume_token_;
  std::atomic<bool> has_begun_ = false;
  std::atomic<bool> hurries_ = false;
};

}  // namespace coder::faults
