#include "services/coderd-api/schedule_service.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "libs/events/proto_time.h"
#include "libs/lifecycle/start_preview.h"
#include "libs/lifecycle/workspace_policy.h"
#include "libs/schedule/cron_fields.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"
#include "services/coderd-api/proto_convert_schedule.h"
#include "services/coderd-api/references.h"
#include "services/coderd-api/request_fields.h"
#include "services/coderd-api/workspace_access.h"

namespace coder::api {
namespace {

using auth::Action;
using storage::UserRecord;
using storage::WorkspaceRecord;

constexpr int kDefaultFires = 10;
constexpr int kMaxFires = 100;
constexpr size_t kMaxNameLength = 64;

absl::StatusOr<schedule::Cron> ScheduleField(absl::string_view field,
                                             absl::StatusOr<schedule::Cron> cron) {
  if (!cron.ok()) return InvalidField(field, cron.status().message());
  return cron;
}

absl::Status NoSchedule(const std::string& workspace) {
  return status::WithReason(
      absl::FailedPreconditionError(absl::StrCat("preview schedule of ", WorkspaceWords(workspace),
                                                 ": it does not start by itself; give a schedule")),
      "NO_SCHEDULE");
}

absl::Status CheckRange(absl::string_view field, int value, int most) {
  if (value >= 0 && value <= most) return absl::OkStatus();
  return InvalidField(field, absl::StrCat(value, " is out of range; use 1 to ", most));
}

}  // namespace

absl::StatusOr<storage::TemplateSchedule> ScheduleService::LoadTemplate(const CallContext& call,
                                                                        const std::string& id,
                                                                        Action action) {
  ASSIGN_OR_RETURN(const auto template_id, IdField<lifecycle::TemplateId>("template_id", id));
  const std::string words = absl::StrCat("template \"", id, "\"");
  ASSIGN_OR_RETURN(storage::TemplateSchedule found,
                   AsAbsent(parts_.schedules.ViewTemplate(template_id, call.deadline), words));
  RETURN_IF_ERROR(call.Authorize(action, {.organization_id = found.organization}, words));
  return found;
}

absl::StatusOr<ScheduleService::Subject> ScheduleService::SubjectOf(
    const CallContext& call, const v1::PreviewScheduleRequest& request) {
  if (request.schedule().empty() == request.workspace_id().empty()) {
    return InvalidField("schedule", "give either this or workspace_id");
  }
  if (!request.workspace_id().empty()) {
    if (!request.template_id().empty()) {
      return InvalidField("template_id", "is the workspace's own; leave it out");
    }
    ASSIGN_OR_RETURN(const WorkspaceRecord record,
                     LoadWorkspace(parts_.workspaces, call, "workspace_id", request.workspace_id(),
                                   Action::kReadWorkspace));
    ASSIGN_OR_RETURN(const storage::ScheduleView view,
                     AsAbsent(parts_.schedules.View(record.id, call.deadline),
                              WorkspaceWords(request.workspace_id())));
    const auto cron = schedule::Cron::ParseWeekly(view.snapshot.autostart_schedule);
    if (!cron.ok()) return NoSchedule(request.workspace_id());
    return Subject{*cron, view.snapshot, view.now};
  }
  ASSIGN_OR_RETURN(const schedule::Cron cron,
                   ScheduleField("schedule", schedule::Cron::ParseWeekly(request.schedule())));
  Subject subject{cron, {}, parts_.clock.Now()};
  if (request.template_id().empty()) return subject;
  ASSIGN_OR_RETURN(const storage::TemplateSchedule terms,
                   LoadTemplate(call, request.template_id(), Action::kReadTemplate));
  subject.rules.policy = terms.policy;
  subject.rules.blackouts = terms.blackouts;
  subject.now = terms.now;
  return subject;
}

absl::StatusOr<absl::TimeZone> ScheduleService::ZoneOf(const CallContext& call,
                                                       const std::string& name) {
  if (name.empty()) {
    ASSIGN_OR_RETURN(const std::optional<std::string> own,
                     parts_.schedules.QuietHours(call.caller->user_id, call.deadline));
    return schedule::QuietHoursOf(own, parts_.quiet_hours).zone();
  }
  const absl::StatusOr<absl::TimeZone> zone = schedule::LoadScheduleZone(name);
  if (!zone.ok()) return InvalidField("time_zone", zone.status().message());
  return *zone;
}

absl::Status ScheduleService::Preview(const CallContext& call,
                                      const v1::PreviewScheduleRequest& request,
                                      v1::PreviewScheduleResponse& response) {
  ASSIGN_OR_RETURN(const Subject subject, SubjectOf(call, request));
  RETURN_IF_ERROR(CheckRange("count", request.count(), kMaxFires));
  ASSIGN_OR_RETURN(const absl::TimeZone zone, ZoneOf(call, request.time_zone()));
  absl::Time after = subject.now;
  if (request.has_after_time()) {
    ASSIGN_OR_RETURN(after, ScheduleTimeField("after_time", request.after_time()));
  }
  const int count = request.count() == 0 ? kDefaultFires : request.count();
  response.set_schedule(subject.schedule.Normalize());
  response.set_schedule_time_zone(subject.schedule.zone().name());
  response.set_time_zone(zone.name());
  *response.mutable_spread_offset() = events::ToProto(subject.rules.autostart_offset);
  for (const lifecycle::PreviewedStart& start :
       lifecycle::PreviewStarts(subject.schedule, subject.rules, after, count)) {
    *response.add_fires() = FireToProto(start, subject.schedule.zone(), zone);
  }
  return absl::OkStatus();
}

grpc::Status ScheduleService::PreviewSchedule(grpc::ServerContext* context,
                                              const v1::PreviewScheduleRequest* request,
                                              v1::PreviewScheduleResponse* response) {
  return HandleCall(parts_.gate, context, "/coder.api.v1.ScheduleService/PreviewSchedule", *request,
                    [&](const CallContext& call) { return Preview(call, *request, *response); });
}

grpc::Status ScheduleService::SkipNextAutostart(grpc::ServerContext* context,
                                                const v1::SkipNextAutostartRequest* request,
                                                v1::SkipNextAutostartResponse* response) {
  return HandleCall(
      parts_.gate, context, "/coder.api.v1.ScheduleService/SkipNextAutostart", *request,
      [&](const CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(const WorkspaceRecord record,
                         LoadWorkspace(parts_.workspaces, call, "workspace_id",
                                       request->workspace_id(), Action::kUpdateWorkspace));
        RETURN_IF_ERROR(CheckRange("count", request->count(), storage::kMaxSkippedStarts));
        if (request->undo() && request->count() > 0) {
          return InvalidField("count", "cannot be given together with undo");
        }
        const int count = request->undo() ? 0 : std::max(request->count(), 1);
        ASSIGN_OR_RETURN(const storage::SkippedStarts skipped,
                         parts_.schedules.SkipStarts(record.id, count, call.deadline));
        if (skipped.until) {
          *response->mutable_skip_until_time() = events::ToProto(*skipped.until);
        }
        *response->mutable_next_start_time() = events::ToProto(skipped.next);
        return absl::OkStatus();
      });
}

grpc::Status ScheduleService::RecordActivity(grpc::ServerContext* context,
                                             const v1::RecordActivityRequest* request,
                                             v1::RecordActivityResponse* response) {
  return HandleCall(
      parts_.gate, context, "/coder.api.v1.ScheduleService/RecordActivity", *request,
      [&](const CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(const WorkspaceRecord record,
                         LoadWorkspace(parts_.workspaces, call, "workspace_id",
                                       request->workspace_id(), Action::kUpdateWorkspace));
        RETURN_IF_ERROR(lifecycle::CheckText("agent", request->agent(), kMaxNameLength));
        RETURN_IF_ERROR(lifecycle::CheckText("app", request->app(), kMaxNameLength));
        ASSIGN_OR_RETURN(
            const storage::RecordedActivity recorded,
            parts_.schedules.RecordActivity(record.id, request->agent(), call.deadline));
        response->set_deadline_moved(recorded.deadline_moved);
        if (recorded.deadline) {
          *response->mutable_deadline() = events::ToProto(*recorded.deadline);
        }
        if (recorded.max_deadline) {
          *response->mutable_max_deadline() = events::ToProto(*recorded.max_deadline);
        }
        return absl::OkStatus();
      });
}

absl::Status ScheduleService::ShowQuietHours(const CallContext& call, const UserRecord& user,
                                             v1::QuietHours& out) {
  ASSIGN_OR_RETURN(const std::optional<std::string> own,
                   parts_.schedules.QuietHours(user.id, call.deadline));
  const schedule::Cron cron = schedule::QuietHoursOf(own, parts_.quiet_hours);
  out.set_user_id(user.id.ToString());
  out.set_schedule(cron.Normalize());
  out.set_is_default(!own || !parts_.quiet_hours.users_choose);
  out.set_changeable(parts_.quiet_hours.users_choose);
  out.set_time_zone(cron.zone().name());
  *out.mutable_next_time() = events::ToProto(cron.Next(parts_.clock.Now()));
  return absl::OkStatus();
}

grpc::Status ScheduleService::GetQuietHours(grpc::ServerContext* context,
                                            const v1::GetQuietHoursRequest* request,
                                            v1::GetQuietHoursResponse* response) {
  return HandleCall(parts_.gate, context, "/coder.api.v1.ScheduleService/GetQuietHours", *request,
                    [&](const CallContext& call) -> absl::Status {
                      ASSIGN_OR_RETURN(const UserRecord user,
                                       AuthorizedUser(parts_.users, call, Action::kReadUser, "user",
                                                      request->user()));
                      return ShowQuietHours(call, user, *response->mutable_quiet_hours());
                    });
}

absl::Status ScheduleService::ChangeQuietHours(const CallContext& call,
                                               const v1::SetQuietHoursRequest& request,
                                               v1::QuietHours& out) {
  ASSIGN_OR_RETURN(const UserRecord user,
                   AuthorizedUser(parts_.users, call, Action::kUpdateUser, "user", request.user()));
  if (!parts_.quiet_hours.users_choose) {
    return status::WithReason(
        absl::FailedPreconditionError("set quiet hours: the deployment gives everybody the same; "
                                      "ask its administrator to change them"),
        "QUIET_HOURS_FIXED");
  }
  std::optional<std::string> text;
  if (!request.schedule().empty()) {
    ASSIGN_OR_RETURN(const schedule::Cron cron,
                     ScheduleField("schedule", schedule::Cron::ParseDaily(request.schedule())));
    text = cron.Normalize();
  }
  RETURN_IF_ERROR(parts_.schedules.SetQuietHours(user.id, text, call.deadline));
  return ShowQuietHours(call, user, out);
}

grpc::Status ScheduleService::SetQuietHours(grpc::ServerContext* context,
                                            const v1::SetQuietHoursRequest* request,
                                            v1::SetQuietHoursResponse* response) {
  return HandleCall(parts_.gate, context, "/coder.api.v1.ScheduleService/SetQuietHours", *request,
                    [&](const CallContext& call) {
                      return ChangeQuietHours(call, *request, *response->mutable_quiet_hours());
                    });
}

}  // namespace coder::api
