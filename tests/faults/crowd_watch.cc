#include "tests/faults/crowd_watch.h"

#include <grpcpp/client_context.h>

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "libs/clock/system_clock.h"
#include "libs/events/resume_token.h"
#include "libs/server/grpc_status.h"
#include "libs/status/error_reason.h"

namespace coder::faults {
namespace {

using api::v1::WatchAllWorkspaceBuildsRequest;
using api::v1::WatchAllWorkspaceBuildsResponse;

constexpr absl::Duration kPause = absl::Milliseconds(100);

// Whether a stream may end so and its token stay good.
bool MayResume(const absl::Status& status) {
  const auto reason = status::ReasonOf(status);
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kCancelled:
      return true;
    case absl::StatusCode::kResourceExhausted:
      return reason && reason->reason == "FELL_BEHIND";
    default:
      return false;
  }
}

}  // namespace

void PrintLine(const std::string& line) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

void PrintProblem(const std::string& text) {
  PrintLine(absl::StrCat("{\"problem\":\"", text, "\"}"));
}

absl::StatusOr<CrowdStart> TakeSnapshot(api::v1::WatchService::Stub& stub,
                                        const std::string& bearer) {
  grpc::ClientContext context;
  context.AddMetadata("authorization", absl::StrCat("Bearer ", bearer));
  WatchAllWorkspaceBuildsRequest request;
  request.set_snapshot(true);
  const auto reader = stub.WatchAllWorkspaceBuilds(&context, request);
  CrowdStart start;
  WatchAllWorkspaceBuildsResponse response;
  while (reader->Read(&response)) {
    for (const auto& item : response.snapshot_items()) {
      start.versions[item.workspace_id()] = item.workspace_version();
    }
    for (const auto& watched : response.events()) {
      start.versions[watched.event().workspace_id()] = watched.event().workspace_version();
    }
    if (!response.snapshot_complete()) continue;
    start.token = response.resume_token();
    const auto token = events::DecodeResumeToken(start.token);
    if (!token.ok()) return token.status();
    start.position = token->position;
    context.TryCancel();
    break;
  }
  const absl::Status ended = server::StatusFromGrpc(reader->Finish());
  if (start.token.empty()) return ended;
  return start;
}

void CrowdRevival::Add(CrowdWatch& watch) {
  const std::lock_guard lock(mutex_);
  due_.push_back(&watch);
}

void CrowdRevival::Stop() {
  thread_.request_stop();
  thread_.join();
}

void CrowdRevival::Run(std::stop_token stop) {
  clock::SystemClock clock;
  while (clock.Wait(kPause, stop)) {
    std::deque<CrowdWatch*> now;
    {
      const std::lock_guard lock(mutex_);
      now.swap(due_);
    }
    for (CrowdWatch* watch : now) watch->Begin();
  }
}

// One stream of a watch; keeps itself alive until it is done.
class CrowdWatch::Stream : public grpc::ClientReadReactor<WatchAllWorkspaceBuildsResponse> {
 public:
  Stream(CrowdWatch& watch, const std::string& token) : watch_(watch) {
    context_.AddMetadata("authorization", absl::StrCat("Bearer ", watch.bearer_));
    request_.set_resume_token(token);
    request_.mutable_bookmark_interval()->set_seconds(5);
  }

  void Start(api::v1::WatchService::Stub& stub, std::shared_ptr<Stream> self) {
    self_ = std::move(self);
    stub.async()->WatchAllWorkspaceBuilds(&context_, &request_, this);
    // Held for reads that begin later.
    AddHold();
    StartRead(&response_);
    StartCall();
  }

  void OnReadDone(bool ok) override {
    if (!ok) return RemoveHold();
    watch_.Take(response_);
    waits_ = true;
    // Asked after it is known to wait, so that who says so in between is not missed.
    if (is_canceled_ || watch_.reads_) Go();
  }

  void OnDone(const grpc::Status& status) override {
    const std::shared_ptr<Stream> self = std::move(self_);
    watch_.Ended(status);
  }

  void Go() {
    if (waits_.exchange(false)) StartRead(&response_);
  }

  void Cancel() {
    is_canceled_ = true;
    context_.TryCancel();
    Go();
  }

 private:
  CrowdWatch& watch_;
  grpc::ClientContext context_;
  WatchAllWorkspaceBuildsRequest request_;
  WatchAllWorkspaceBuildsResponse response_;
  std::shared_ptr<Stream> self_;
  std::atomic<bool> waits_ = false;
  std::atomic<bool> is_canceled_ = false;
};

CrowdWatch::CrowdWatch(int number, std::string bearer,
                       std::vector<api::v1::WatchService::Stub*> places, const CrowdStart& start,
                       bool reads, CrowdRevival& revival)
    : number_(number),
      bearer_(std::move(bearer)),
      places_(std::move(places)),
      revival_(revival),
      reads_(reads),
      resume_token_(start.token),
      position_(start.position),
      versions_(start.versions) {}

void CrowdWatch::Begin() {
  std::shared_ptr<Stream> stream;
  api::v1::WatchService::Stub* place = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (is_ending_) return;
    stream_ = stream = std::make_shared<Stream>(*this, resume_token_);
    place = places_[turn_++ % places_.size()];
  }
  stream->Start(*place, stream);
}

void CrowdWatch::Drop() {
  std::shared_ptr<Stream> stream;
  {
    const std::lock_guard lock(mutex_);
    stream = stream_;
  }
  if (stream) stream->Cancel();
}

void CrowdWatch::Read() {
  reads_ = true;
  std::shared_ptr<Stream> stream;
  {
    const std::lock_guard lock(mutex_);
    stream = stream_;
  }
  if (stream) stream->Go();
}

void CrowdWatch::End() {
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
  }
  Drop();
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return stream_ == nullptr; });
}

std::map<std::string, int64_t> CrowdWatch::versions() const {
  const std::lock_guard lock(mutex_);
  return versions_;
}

void CrowdWatch::Take(const WatchAllWorkspaceBuildsResponse& response) {
  const std::lock_guard lock(mutex_);
  for (const auto& watched : response.events()) Judge(watched);
  if (!response.resume_token().empty()) resume_token_ = response.resume_token();
  has_begun_ = true;
}

void CrowdWatch::Judge(const api::v1::WatchedBuildEvent& watched) {
  const std::string who = absl::StrCat("crowd-", number_, ": ");
  if (watched.position() <= position_) {
    PrintProblem(
        absl::StrCat("Ordered: ", who, "position ", watched.position(), " after ", position_));
  }
  position_ = watched.position();
  if (!watched.has_event()) return;
  int64_t& version = versions_[watched.event().workspace_id()];
  const int64_t next = watched.event().workspace_version();
  if (next != version + 1) {
    PrintProblem(absl::StrCat(next <= version ? "Unique: " : "Gapless: ", who,
                              watched.event().workspace_id(), " version ", next, " after ",
                              version));
  }
  version = next;
}

void CrowdWatch::Ended(const grpc::Status& status) {
  const absl::Status ended = server::StatusFromGrpc(status);
  {
    const std::lock_guard lock(mutex_);
    stream_ = nullptr;
    changed_.notify_all();
    if (is_ending_) return;
  }
  if (!MayResume(ended)) {
    const auto reason = status::ReasonOf(ended);
    PrintProblem(absl::StrCat("TypedEndings: crowd-", number_, ": ended with ",
                              absl::StatusCodeToString(ended.code()), " ",
                              reason ? reason->reason : ""));
  }
  revival_.Add(*this);
}

}  // namespace coder::faults
