#include "tests/bench/bench_events.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/events/pack.h"
#include "libs/events/proto_time.h"

namespace coder::bench {
namespace {

namespace v1 = coder::events::v1;

constexpr char kOther[] = "11111111-1111-4111-8111-111111111111";
// Tag and length of workspace_name.
constexpr int kNameFraming = 3;

int64_t VersionOf(int64_t index) { return index / kWorkspaces + 1; }

}  // namespace

std::string WorkspaceIdOf(int64_t index) {
  return absl::StrFormat("00000000-0000-4000-8000-%012d", index % kWorkspaces);
}

std::string MakeEvent(int64_t index, absl::Time time) {
  v1::BuildEvent event;
  event.set_organization_id(kOther);
  event.set_owner_id(kOther);
  event.set_template_id(kOther);
  event.set_workspace_id(WorkspaceIdOf(index));
  event.set_workspace_version(VersionOf(index));
  event.set_transition(v1::BUILD_TRANSITION_START);
  event.set_job_status(v1::JOB_STATUS_RUNNING);
  event.set_reason(v1::BUILD_REASON_INITIATOR);
  event.set_kind(v1::BUILD_EVENT_KIND_STATUS_CHANGED);
  event.set_build_id(kOther);
  event.set_build_number(static_cast<int32_t>(index + 1));
  *event.mutable_event_time() = coder::events::ToProto(time);
  const int room = kEventBytes - static_cast<int>(event.ByteSizeLong()) - kNameFraming;
  event.set_workspace_name(std::string(room, 'w'));
  return event.SerializeAsString();
}

bool Belongs(const v1::BuildEvent& event, int64_t position) {
  return event.build_number() == position && event.workspace_version() == VersionOf(position - 1) &&
         event.workspace_id() == WorkspaceIdOf(position - 1);
}

coder::events::ResumeToken TokenAfter(int64_t epoch, int64_t position) {
  if (position == 0) return {.epoch = epoch};
  const std::string id = absl::StrCat(WorkspaceIdOf(position - 1), "/", VersionOf(position - 1));
  const auto hash = static_cast<uint32_t>(coder::events::StableHash(id)) | 1u;
  return {.epoch = epoch, .position = position, .event_hash = hash};
}

}  // namespace coder::bench
