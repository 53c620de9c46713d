#include "libs/storage/postgres/build_event_row.h"

#include <optional>
#include <string>

#include "absl/time/time.h"
#include "libs/events/build_enums.h"
#include "libs/events/proto_time.h"
#include "libs/lifecycle/types.h"
#include "libs/status/status_macros.h"

namespace coder::storage {
namespace {

constexpr size_t kMaxErrorBytes = 1024;

// Never cuts inside a character.
std::string CutToBytes(std::string text, size_t limit) {
  if (text.size() <= limit) return text;
  size_t end = limit;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  text.resize(end);
  return text;
}

void ReadNames(const pg::Result::Row& row, events::v1::BuildEvent& event) {
  event.set_organization_name(row.Get<std::string>("organization_name"));
  event.set_owner_name(row.Get<std::string>("owner_name"));
  event.set_template_name(row.Get<std::string>("template_name"));
  event.set_template_version_name(row.Get<std::string>("template_version_name"));
  event.set_workspace_name(row.Get<std::string>("workspace_name"));
  event.set_initiator_name(row.Get<std::string>("initiator_name"));
}

void ReadTimes(const pg::Result::Row& row, events::v1::BuildEvent& event) {
  using MaybeTime = std::optional<absl::Time>;
  *event.mutable_event_time() = events::ToProto(row.Get<absl::Time>("event_time"));
  *event.mutable_job_create_time() = events::ToProto(row.Get<absl::Time>("created_at"));
  if (const auto time = row.Get<MaybeTime>("started_at")) {
    *event.mutable_job_start_time() = events::ToProto(*time);
  }
  if (const auto time = row.Get<MaybeTime>("completed_at")) {
    *event.mutable_job_complete_time() = events::ToProto(*time);
  }
  if (const auto time = row.Get<MaybeTime>("deadline")) {
    *event.mutable_deadline() = events::ToProto(*time);
  }
  if (const auto time = row.Get<MaybeTime>("max_deadline")) {
    *event.mutable_max_deadline() = events::ToProto(*time);
  }
}

}  // namespace

absl::StatusOr<events::v1::BuildEvent> ReadBuildEvent(const pg::Result::Row& row,
                                                      events::v1::BuildEventKind kind) {
  events::v1::BuildEvent event;
  ASSIGN_OR_RETURN(const auto transition,
                   lifecycle::ParseBuildTransition(row.Get<std::string>("transition")));
  ASSIGN_OR_RETURN(const auto status, lifecycle::ParseJobStatus(row.Get<std::string>("status")));
  ASSIGN_OR_RETURN(const auto reason, lifecycle::ParseBuildReason(row.Get<std::string>("reason")));
  event.set_organization_id(row.Get<std::string>("organization_id"));
  event.set_owner_id(row.Get<std::string>("owner_id"));
  event.set_template_id(row.Get<std::string>("template_id"));
  event.set_workspace_id(row.Get<std::string>("workspace_id"));
  event.set_workspace_version(row.Get<int64_t>("event_version"));
  event.set_transition(events::ToProto(transition));
  event.set_job_status(events::ToProto(status));
  event.set_reason(events::ToProto(reason));
  event.set_kind(kind);
  event.set_build_id(row.Get<std::string>("build_id"));
  event.set_build_number(row.Get<int32_t>("build_number"));
  event.set_job_id(row.Get<std::string>("job_id"));
  event.set_template_version_id(row.Get<std::string>("template_version_id"));
  event.set_initiator_id(row.Get<std::string>("initiator_id"));
  ReadNames(row, event);
  ReadTimes(row, event);
  event.set_error(CutToBytes(row.Get<std::string>("error"), kMaxErrorBytes));
  event.set_error_code(row.Get<std::string>("error_code"));
  return event;
}

}  // namespace coder::storage
