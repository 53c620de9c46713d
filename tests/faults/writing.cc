#include "tests/faults/writing.h"

#include <grpcpp/client_context.h>

#include "absl/strings/str_format.h"
#include "libs/server/grpc_channel.h"
#include "libs/server/grpc_status.h"
#include "libs/status/error_reason.h"

namespace coder::faults {
namespace {

using api::v1::BuildService;
using api::v1::WorkspaceService;

constexpr absl::Duration kCallLimit = absl::Seconds(5);
constexpr absl::Duration kRetryPause = absl::Milliseconds(50);
// How often a call is repeated after the client was told to stop.
constexpr int kLastAttempts = 40;

// Says nothing about whether the call had its effect, or asks to come again.
bool LeavesOpen(absl::StatusCode code) {
  return code == absl::StatusCode::kUnavailable || code == absl::StatusCode::kDeadlineExceeded ||
         code == absl::StatusCode::kUnknown || code == absl::StatusCode::kInternal ||
         code == absl::StatusCode::kAborted || code == absl::StatusCode::kCancelled ||
         code == absl::StatusCode::kResourceExhausted;
}

}  // namespace

void Writing::Run(std::stop_token stop) {
  for (int i = 0; i < options_.workspaces && !stop.stop_requested(); ++i) {
    if (const auto created = CreateWorkspace(i, stop)) workspaces_.push_back(*created);
  }
  clock::SystemClock clock;
  while (!stop.stop_requested()) {
    Act(stop);
    clock.Wait(options_.pause, stop);
  }
}

template <typename Call>
absl::Status Writing::Insist(const std::string& what, std::stop_token stop, Call call) {
  clock::SystemClock clock;
  absl::Status outcome;
  for (int left = kLastAttempts; left > 0; left -= stop.stop_requested() ? 1 : 0) {
    grpc::ClientContext context;
    context.AddMetadata("authorization", absl::StrCat("Bearer ", options_.token));
    context.set_deadline(server::CallDeadline(kCallLimit));
    outcome = server::StatusFromGrpc(call(replicas_[turn_++ % replicas_.size()], context));
    if (!LeavesOpen(outcome.code())) return outcome;
    const auto reason = status::ReasonOf(outcome);
    history_.Add("retry",
                 absl::StrCat(Member("writer", options_.name), ",", Member("what", what), ",",
                              Member("code", absl::StatusCodeToString(outcome.code())), ",",
                              Member("reason", reason ? reason->reason : "")));
    clock.Wait(kRetryPause, std::stop_token());
  }
  return outcome;
}

std::string Writing::NewRequestId() {
  // A version 4 UUID that the seed determines.
  const uint64_t high = (random_() & ~0xF000ULL) | 0x4000ULL;
  const uint64_t low = (random_() & 0x3FFFFFFFFFFFFFFFULL) | 0x8000000000000000ULL;
  return absl::StrFormat("%08x-%04x-%04x-%04x-%012x", high >> 32, (high >> 16) & 0xFFFF,
                         high & 0xFFFF, low >> 48, low & 0xFFFFFFFFFFFFULL);
}

std::optional<Writing::Owned> Writing::CreateWorkspace(int number, std::stop_token stop) {
  api::v1::CreateWorkspaceRequest request;
  request.set_owner(options_.owners[static_cast<size_t>(number) % options_.owners.size()]);
  request.set_name(absl::StrCat(options_.name, "-", number));
  request.set_template_id(options_.template_id);
  // Some start by themselves, each minute, whenever they are stopped.
  if (number % 4 == 3) request.set_autostart_schedule("CRON_TZ=UTC * * * * *");
  request.set_request_id(NewRequestId());
  api::v1::CreateWorkspaceResponse response;
  const absl::Status created = Insist(
      "create", stop, [&](const std::shared_ptr<grpc::Channel>& to, grpc::ClientContext& context) {
        return WorkspaceService::NewStub(to)->CreateWorkspace(&context, request, &response);
      });
  if (!created.ok()) {
    history_.Add("refused", absl::StrCat(Member("what", "create"), ",",
                                         Member("code", absl::StatusCodeToString(created.code()))));
    return std::nullopt;
  }
  const auto& workspace = response.workspace();
  history_.Add("ack", absl::StrCat(Member("request", request.request_id()), ",",
                                   Member("workspace", workspace.id()), ",",
                                   Member("build", workspace.latest_build().id()), ",",
                                   Member("number", workspace.latest_build().build_number())));
  return Owned{
      .number = number, .id = workspace.id(), .latest_build = workspace.latest_build().id()};
}

void Writing::Act(std::stop_token stop) {
  if (workspaces_.empty()) return;
  Owned& owned = workspaces_[random_() % workspaces_.size()];
  if (random_() % 8 == 0) return Cancel(owned.latest_build, stop);
  api::v1::CreateWorkspaceBuildRequest request;
  request.set_workspace_id(owned.id);
  request.set_transition(owned.start_next ? events::v1::BUILD_TRANSITION_START
                                          : events::v1::BUILD_TRANSITION_STOP);
  request.set_request_id(NewRequestId());
  api::v1::CreateWorkspaceBuildResponse response;
  const absl::Status ordered = Insist(
      "build", stop, [&](const std::shared_ptr<grpc::Channel>& to, grpc::ClientContext& context) {
        return BuildService::NewStub(to)->CreateWorkspaceBuild(&context, request, &response);
      });
  if (!ordered.ok()) {
    // The workspace is busy most of the time.
    if (ordered.code() == absl::StatusCode::kFailedPrecondition) return;
    history_.Add("refused", absl::StrCat(Member("what", "build"), ",",
                                         Member("code", absl::StatusCodeToString(ordered.code()))));
    if (ordered.code() != absl::StatusCode::kNotFound) return;
    // The database went back to before there was this workspace.
    if (const auto again = CreateWorkspace(owned.number, stop)) owned = *again;
    return;
  }
  owned.start_next = !owned.start_next;
  owned.latest_build = response.build().id();
  history_.Add("ack", absl::StrCat(Member("request", request.request_id()), ",",
                                   Member("workspace", owned.id), ",",
                                   Member("build", response.build().id()), ",",
                                   Member("number", response.build().build_number())));
}

void Writing::Cancel(const std::string& build, std::stop_token stop) {
  api::v1::CancelWorkspaceBuildRequest request;
  request.set_id(build);
  api::v1::CancelWorkspaceBuildResponse response;
  const absl::Status canceled = Insist(
      "cancel", stop, [&](const std::shared_ptr<grpc::Channel>& to, grpc::ClientContext& context) {
        return BuildService::NewStub(to)->CancelWorkspaceBuild(&context, request, &response);
      });
  if (canceled.ok()) history_.Add("canceled", Member("build", build));
}

}  // namespace coder::faults
