#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <optional>
#include <random>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "coder/api/v1/build.grpc.pb.h"
#include "coder/api/v1/workspace.grpc.pb.h"
#include "tests/faults/history.h"

namespace coder::faults {

// One client that starts and stops workspaces of its own and now and then cancels. Every call that
// makes something carries a request id and is repeated with it, at one replica after the other,
// until it is answered; the answers are written down.
class Writing {
 public:
  struct Options {
    std::string name;
    std::string token;
    std::string template_id;
    // Owners of the workspaces, taken in turn; user names.
    std::vector<std::string> owners;
    int workspaces = 4;
    uint64_t seed = 0;
    // Between two calls.
    absl::Duration pause;
  };

  Writing(Options options, std::vector<std::shared_ptr<grpc::Channel>> replicas, History& history)
      : options_(std::move(options)),
        replicas_(std::move(replicas)),
        history_(history),
        random_(options_.seed) {}

  // Works until stopped. A call in progress is finished first, so that its outcome is known, but
  // not for longer than a few seconds.
  void Run(std::stop_token stop);

 private:
  struct Owned {
    int number = 0;
    std::string id;
    bool start_next = false;
    std::string latest_build;
  };

  template <typename Call>
  absl::Status Insist(const std::string& what, std::stop_token stop, Call call);
  std::string NewRequestId();
  std::optional<Owned> CreateWorkspace(int number, std::stop_token stop);
  void Act(std::stop_token stop);
  void Cancel(const std::string& build, std::stop_token stop);

  const Options options_;
  const std::vector<std::shared_ptr<grpc::Channel>> replicas_;
  History& history_;
  std::mt19937_64 random_;
  size_t turn_ = 0;
  std::vector<Owned> workspaces_;
};

}  // namespace coder::faults
