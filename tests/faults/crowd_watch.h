#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coder/api/v1/watch.grpc.pb.h"

namespace coder::faults {

// Prints one line to standard output at once. From any thread.
void PrintLine(const std::string& line);
void PrintProblem(const std::string& text);

// Where watches begin: what a snapshot said of each workspace, and the token after it.
struct CrowdStart {
  std::string token;
  int64_t position = 0;
  std::map<std::string, int64_t> versions;
};

// Takes one snapshot, waiting for it.
absl::StatusOr<CrowdStart> TakeSnapshot(api::v1::WatchService::Stub& stub,
                                        const std::string& bearer);

class CrowdWatch;

// Begins streams anew a little after they ended, on a thread of its own.
class CrowdRevival {
 public:
  CrowdRevival() : thread_([this](std::stop_token stop) { Run(std::move(stop)); }) {}

  // From any thread; the watch must outlive Stop().
  void Add(CrowdWatch& watch);
  void Stop();

 private:
  void Run(std::stop_token stop);

  std::mutex mutex_;
  std::deque<CrowdWatch*> due_;
  std::jthread thread_;
};

// One of many watches. It keeps what it saw as numbers and judges it at once: positions rise, and
// versions of a workspace rise by one, also over a resume.
class CrowdWatch {
 public:
  // Streams are opened at `places` in turn.
  CrowdWatch(int number, std::string bearer, std::vector<api::v1::WatchService::Stub*> places,
             const CrowdStart& start, bool reads, CrowdRevival& revival);

  void Begin();
  // Ends the stream; another is begun.
  void Drop();
  // Reads from now on.
  void Read();
  // Ends for good and waits for it.
  void End();

  bool has_begun() const { return has_begun_; }
  std::map<std::string, int64_t> versions() const;

 private:
  class Stream;

  void Take(const api::v1::WatchAllWorkspaceBuildsResponse& response);
  void Ended(const grpc::Status& status);
  void Judge(const api::v1::WatchedBuildEvent& watched);

  const int number_;
  const std::string bearer_;
  const std::vector<api::v1::WatchService::Stub*> places_;
  CrowdRevival& revival_;
  std::atomic<bool> reads_;
  std::atomic<bool> has_begun_ = false;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool is_ending_ = false;
  size_t turn_ = 0;
  std::string resume_token_;
  int64_t position_;
  std::map<std::string, int64_t> versions_;
  std::shared_ptr<Stream> stream_;
};

}  // namespace coder::faults
