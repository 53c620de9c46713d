#include "cli/coderctl/scaletest/watcher.h"

#include <utility>

#include "cli/coderctl/stream_ending.h"
#include "coder/api/v1/watch.grpc.pb.h"

namespace coder::cli::scaletest {

void Note(const api::v1::WatchAllWorkspaceBuildsResponse& response, absl::Time now, Seen& seen) {
  for (const auto& watched : response.events()) {
    const int64_t position = watched.position();
    if (seen.first == 0) {
      seen.first = position;
    } else if (position <= seen.last) {
      ++seen.doubled;
      continue;
    } else {
      seen.lost += position - seen.last - 1;
    }
    seen.last = position;
    ++seen.events;
    const auto& time = watched.event().event_time();
    seen.lateness.push_back(
        now - (absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos())));
  }
}

Watcher::Watcher(const Session& session, clock::Clock& clock)
    : session_(session),
      clock_(clock),
      thread_([this](const std::stop_token& stop) { Run(stop); }) {}

absl::Status Watcher::status() {
  const std::lock_guard lock(mutex_);
  return ended_;
}

Seen Watcher::Stop() {
  thread_.request_stop();
  thread_.join();
  return std::move(seen_);
}

absl::Status Watcher::ReadOnce(const std::stop_token& stop) {
  const auto stub = api::v1::WatchService::NewStub(session_.channel());
  grpc::ClientContext context;
  session_.PrepareStream(context);
  const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  api::v1::WatchAllWorkspaceBuildsRequest request;
  request.set_resume_token(token_);
  request.mutable_bookmark_interval()->set_seconds(1);
  const auto reader = stub->WatchAllWorkspaceBuilds(&context, request);
  api::v1::WatchAllWorkspaceBuildsResponse response;
  while (reader->Read(&response)) {
    Note(response, clock_.Now(), seen_);
    token_ = response.resume_token();
    position_ = seen_.last;
    live_ = true;
  }
  return server::StatusFromGrpc(reader->Finish());
}

void Watcher::Run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const absl::Status status = ReadOnce(stop);
    if (stop.stop_requested()) return;
    if (token_.empty() || !IsResumable(status)) {
      const std::lock_guard lock(mutex_);
      ended_ = status;
      return;
    }
    ++seen_.drops;
    clock_.Wait(absl::Milliseconds(200), stop);
  }
}

}  // namespace coder::cli::scaletest
