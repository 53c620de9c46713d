#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/lifecycle/job_tags.h"
#include "libs/lifecycle/version_name.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"
#include "libs/storage/page_token.h"
#include "services/coderd-api/proto_convert_job.h"
#include "services/coderd-api/proto_convert_template.h"
#include "services/coderd-api/request_fields.h"
#include "services/coderd-api/template_service.h"

namespace coder::api {
namespace {

using auth::Action;
using lifecycle::TemplateVersionId;
using storage::TemplateVersionRecord;

// Made-up names are few enough to meet within one template now and then.
constexpr int kNameAttempts = 10;

std::string Words(TemplateVersionId id) { return absl::StrCat("template version ", id.ToString()); }

// The random end of a fresh id is as good a number as any.
std::string MadeUpName(const ids::Uuid& id) {
  uint64_t number = 0;
  for (size_t i = 8; i < id.bytes().size(); ++i) number = number << 8 | id.bytes()[i];
  return lifecycle::MakeVersionName(number);
}

bool IsNameTaken(const absl::Status& status) {
  const auto reason = status::ReasonOf(status);
  return reason && reason->reason == "VERSION_NAME_TAKEN";
}

absl::StatusOr<std::optional<storage::VersionPageKey>> PageKeyOf(const std::string& text) {
  if (text.empty()) return std::nullopt;
  const size_t slash = text.find('/');
  int64_t micros = 0;
  const bool cut = slash != std::string::npos && absl::SimpleAtoi(text.substr(0, slash), &micros);
  if (!cut) return InvalidField("page_token", "is no token of this list; use the one it gave");
  ASSIGN_OR_RETURN(const auto id, IdField<TemplateVersionId>("page_token", text.substr(slash + 1)));
  return storage::VersionPageKey{absl::FromUnixMicros(micros), id};
}

std::string TextOf(const TemplateVersionRecord& last) {
  return absl::StrCat(absl::ToUnixMicros(last.created_at), "/", last.id.ToString());
}

absl::Status CheckImported(const TemplateVersionRecord& version) {
  const lifecycle::JobStatus status = version.job.status;
  if (status == lifecycle::JobStatus::kSucceeded) return absl::OkStatus();
  const bool ended = lifecycle::IsFinal(status);
  return status::WithReason(
      absl::FailedPreconditionError(absl::StrCat(
          "list parameters of ", Words(version.id), ": its import is ", lifecycle::ToString(status),
          ended ? "; make a new version" : "; wait until it has succeeded")),
      ended ? "IMPORT_FAILED" : "IMPORT_NOT_FINISHED");
}

}  // namespace

absl::StatusOr<TemplateVersionRecord> TemplateService::LoadVersion(const CallContext& call,
                                                                   absl::string_view field,
                                                                   const std::string& id_text,
                                                                   Action action) {
  ASSIGN_OR_RETURN(const TemplateVersionId id, IdField<TemplateVersionId>(field, id_text));
  ASSIGN_OR_RETURN(TemplateVersionRecord version, parts_.versions.Get(id, call.deadline));
  call.Concerns("template_version", id_text, version.name);
  RETURN_IF_ERROR(call.Authorize(action, {.organization_id = version.organization}, Words(id)));
  return version;
}

absl::StatusOr<TemplateVersionRecord> TemplateService::CreateVersion(
    const CallContext& call, const v1::CreateTemplateVersionRequest& request) {
  ASSIGN_OR_RETURN(storage::NewTemplateVersion version,
                   NewVersionFromProto(request, parts_.keyring));
  RETURN_IF_ERROR(call.Authorize(Action::kCreateTemplate, {.organization_id = version.organization},
                                 absl::StrCat("organization ", request.organization_id())));
  ASSIGN_OR_RETURN(const auto key, RequestKeyOf(call, request.request_id(), request));
  version.creator = call.caller->user_id;
  version.tags = lifecycle::WithJobScope(std::move(version.tags), version.creator);
  version.job = lifecycle::JobId(parts_.ids.Next());
  for (int attempt = 1;; ++attempt) {
    version.id = TemplateVersionId(parts_.ids.Next());
    if (request.name().empty()) version.name = MadeUpName(version.id.uuid());
    absl::StatusOr<TemplateVersionRecord> made =
        parts_.versions.Create(version, key, call.deadline);
    const bool may_rename = request.name().empty() && attempt < kNameAttempts;
    if (made.ok() || !may_rename || !IsNameTaken(made.status())) return made;
  }
}

grpc::Status TemplateService::CreateTemplateVersion(grpc::ServerContext* context,
                                                    const v1::CreateTemplateVersionRequest* request,
                                                    v1::CreateTemplateVersionResponse* response) {
  return HandleCall(parts_.gate, context, "/coder.api.v1.TemplateService/CreateTemplateVersion",
                    *request, [&](const CallContext& call) -> absl::Status {
                      ASSIGN_OR_RETURN(const TemplateVersionRecord version,
                                       CreateVersion(call, *request));
                      parts_.job_queued(version.organization);
                      call.Concerns("template_version", version.id.ToString(), version.name);
                      *response->mutable_template_version() = VersionToProto(version);
                      return absl::OkStatus();
                    });
}

grpc::Status TemplateService::GetTemplateVersion(grpc::ServerContext* context,
                                                 const v1::GetTemplateVersionRequest* request,
                                                 v1::GetTemplateVersionResponse* response) {
  return HandleCall(parts_.gate, context, "/coder.api.v1.TemplateService/GetTemplateVersion",
                    *request, [&](const CallContext& call) -> absl::Status {
                      ASSIGN_OR_RETURN(
                          const TemplateVersionRecord version,
                          LoadVersion(call, "id", request->id(), Action::kReadTemplate));
                      *response->mutable_template_version() = VersionToProto(version);
                      return absl::OkStatus();
                    });
}

grpc::Status TemplateService::ListTemplateVersions(grpc::ServerContext* context,
                                                   const v1::ListTemplateVersionsRequest* request,
                                                   v1::ListTemplateVersionsResponse* response) {
  return HandleCall(
      parts_.gate, context, "/coder.api.v1.TemplateService/ListTemplateVersions", *request,
      [&](const CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(
            const storage::TemplateRecord owner,
            LoadTemplate(call, "template_id", request->template_id(), Action::kReadTemplate));
        const storage::VersionFilter filter{owner.id, request->include_archived()};
        const std::string filter_text = absl::StrCat("versions of ", owner.id.ToString(), " ",
                                                     filter.include_archived ? "all" : "current");
        ASSIGN_OR_RETURN(const std::string last,
                         storage::DecodePageToken(filter_text, request->page_token()));
        ASSIGN_OR_RETURN(const auto after, PageKeyOf(last));
        const auto size = static_cast<size_t>(storage::ClampPageSize(request->page_size()));
        ASSIGN_OR_RETURN(
            std::vector<TemplateVersionRecord> page,
            parts_.versions.List(filter, after, static_cast<int>(size) + 1, call.deadline));
        if (page.size() > size) {
          page.resize(size);
          response->set_next_page_token(storage::EncodePageToken(filter_text, TextOf(page.back())));
        }
        for (const TemplateVersionRecord& version : page) {
          *response->add_template_versions() = VersionToProto(version);
        }
        return absl::OkStatus();
      });
}

grpc::Status TemplateService::ListTemplateVersionParameters(
    grpc::ServerContext* context, const v1::ListTemplateVersionParametersRequest* request,
    v1::ListTemplateVersionParametersResponse* response) {
  return HandleCall(
      parts_.gate, context, "/coder.api.v1.TemplateService/ListTemplateVersionParameters", *request,
      [&](const CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(const TemplateVersionRecord version,
                         LoadVersion(call, "template_version_id", request->template_version_id(),
                                     Action::kReadTemplate));
        RETURN_IF_ERROR(CheckImported(version));
        ASSIGN_OR_RETURN(const auto parameters,
                         parts_.versions.ListParameters(version.id, call.deadline));
        for (const storage::ParameterRecord& parameter : parameters) {
          *response->add_parameters() = ParameterToProto(parameter);
        }
        return absl::OkStatus();
      });
}

grpc::Status TemplateService::ListTemplateVersionResources(
    grpc::ServerContext* context, const v1::ListTemplateVersionResourcesRequest* request,
    v1::ListTemplateVersionResourcesResponse* response) {
  return HandleCall(
      parts_.gate, context, "/coder.api.v1.TemplateService/ListTemplateVersionResources", *request,
      [&](const CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(const TemplateVersionRecord version,
                         LoadVersion(call, "template_version_id", request->template_version_id(),
                                     Action::kReadTemplate));
        ASSIGN_OR_RETURN(const auto resources,
                         parts_.versions.ListResources(version.id, call.deadline));
        for (const storage::ResourceView& resource : resources) {
          *response->add_resources() = ResourceViewToProto(resource);
        }
        return absl::OkStatus();
      });
}

grpc::Status TemplateService::CancelTemplateVersion(grpc::ServerContext* context,
                                                    const v1::CancelTemplateVersionRequest* request,
                                                    v1::CancelTemplateVersionResponse* response) {
  return HandleCall(parts_.gate, context, "/coder.api.v1.TemplateService/CancelTemplateVersion",
                    *request, [&](const CallContext& call) -> absl::Status {
                      ASSIGN_OR_RETURN(
                          const TemplateVersionRecord current,
                          LoadVersion(call, "id", request->id(), Action::kUpdateTemplate));
                      ASSIGN_OR_RETURN(const TemplateVersionRecord version,
                                       parts_.versions.CancelImport(current.id, call.deadline));
                      parts_.job_ended(version.job.id);
                      *response->mutable_template_version() = VersionToProto(version);
                      return absl::OkStatus();
                    });
}

grpc::Status TemplateService::ArchiveTemplateVersion(
    grpc::ServerContext* context, const v1::ArchiveTemplateVersionRequest* request,
    v1::ArchiveTemplateVersionResponse* response) {
  return HandleCall(
      parts_.gate, context, "/coder.api.v1.TemplateService/ArchiveTemplateVersion", *request,
      [&](const CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(const TemplateVersionRecord current,
                         LoadVersion(call, "id", request->id(), Action::kUpdateTemplate));
        ASSIGN_OR_RETURN(
            const TemplateVersionRecord version,
            parts_.versions.SetArchived(current.id, !request->unarchive(), call.deadline));
        *response->mutable_template_version() = VersionToProto(version);
        return absl::OkStatus();
      });
}

}  // namespace coder::api
