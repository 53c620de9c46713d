// The blackout half of ScheduleService; the other is in schedule_service.cc.

#include <string>

#include "absl/strings/str_cat.h"
#include "libs/lifecycle/blackout_dates.h"
#include "libs/status/status_macros.h"
#include "services/coderd-api/proto_convert_schedule.h"
#include "services/coderd-api/references.h"
#include "services/coderd-api/request_fields.h"
#include "services/coderd-api/schedule_service.h"
#include "services/coderd-api/workspace_access.h"

namespace coder::api {
namespace {

using auth::Action;
using storage::BlackoutRecord;

}  // namespace

absl::Status ScheduleService::Create(const CallContext& call,
                                     const v1::CreateBlackoutRequest& request, v1::Blackout& out) {
  if (request.organization_id().empty() == request.template_id().empty()) {
    return InvalidField("organization_id", "give either this or template_id");
  }
  BlackoutRecord blackout;
  if (request.template_id().empty()) {
    ASSIGN_OR_RETURN(const storage::OrganizationRecord organization,
                     AuthorizedOrganization(parts_.organizations, call, Action::kUpdateOrganization,
                                            "organization_id", request.organization_id()));
    blackout.organization = organization.id;
  } else {
    ASSIGN_OR_RETURN(const storage::TemplateSchedule terms,
                     LoadTemplate(call, request.template_id(), Action::kUpdateTemplate));
    blackout.organization = terms.organization;
    ASSIGN_OR_RETURN(blackout.template_id,
                     IdField<lifecycle::TemplateId>("template_id", request.template_id()));
  }
  ASSIGN_OR_RETURN(blackout.dates, lifecycle::CheckBlackout(request.first_date(),
                                                            request.last_date(), request.reason()));
  blackout.id = lifecycle::BlackoutId(parts_.ids.Next());
  blackout.creator = call.caller->user_id;
  ASSIGN_OR_RETURN(const BlackoutRecord created, parts_.blackouts.Create(blackout, call.deadline));
  call.Concerns("blackout", created.id.ToString(), "");
  out = BlackoutToProto(created);
  return absl::OkStatus();
}

grpc::Status ScheduleService::CreateBlackout(grpc::ServerContext* context,
                                             const v1::CreateBlackoutRequest* request,
                                             v1::CreateBlackoutResponse* response) {
  return HandleCall(parts_.gate, context, "/coder.api.v1.ScheduleService/CreateBlackout", *request,
                    [&](const CallContext& call) {
                      return Create(call, *request, *response->mutable_blackout());
                    });
}

grpc::Status ScheduleService::ListBlackouts(grpc::ServerContext* context,
                                            const v1::ListBlackoutsRequest* request,
                                            v1::ListBlackoutsResponse* response) {
  return HandleCall(parts_.gate, context, "/coder.api.v1.ScheduleService/ListBlackouts", *request,
                    [&](const CallContext& call) -> absl::Status {
                      ASSIGN_OR_RETURN(const storage::OrganizationRecord organization,
                                       AuthorizedOrganization(
                                           parts_.organizations, call, Action::kReadOrganization,
                                           "organization_id", request->organization_id()));
                      ASSIGN_OR_RETURN(const std::vector<BlackoutRecord> records,
                                       parts_.blackouts.List(organization.id, call.deadline));
                      for (const BlackoutRecord& record : records) {
                        *response->add_blackouts() = BlackoutToProto(record);
                      }
                      return absl::OkStatus();
                    });
}

grpc::Status ScheduleService::DeleteBlackout(grpc::ServerContext* context,
                                             const v1::DeleteBlackoutRequest* request,
                                             v1::DeleteBlackoutResponse*) {
  return HandleCall(
      parts_.gate, context, "/coder.api.v1.ScheduleService/DeleteBlackout", *request,
      [&](const CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(const auto id, IdField<lifecycle::BlackoutId>("id", request->id()));
        const std::string words = absl::StrCat("blackout \"", request->id(), "\"");
        ASSIGN_OR_RETURN(const BlackoutRecord record,
                         AsAbsent(parts_.blackouts.Get(id, call.deadline), words));
        RETURN_IF_ERROR(call.Authorize(
            record.template_id ? Action::kUpdateTemplate : Action::kUpdateOrganization,
            {.organization_id = record.organization}, words));
        const absl::Status deleted = parts_.blackouts.Delete(id, call.deadline);
        return absl::IsNotFound(deleted) ? auth::NotFound(words) : deleted;
      });
}

}  // namespace coder::api
