#include "services/coderd-api/template_service.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"
#include "libs/storage/page_token.h"
#include "services/coderd-api/proto_convert_template.h"
#include "services/coderd-api/request_fields.h"

namespace coder::api {
namespace {

using auth::Action;
using lifecycle::TemplateId;
using lifecycle::TemplateVersionId;
using storage::TemplateRecord;

// An update without an etag means the newest state; others may write in between.
constexpr int kUpdateAttempts = 5;

std::string Words(TemplateId id) { return absl::StrCat("template ", id.ToString()); }

// As the store names it, so that a hidden template reads like an absent one.
std::string Words(const v1::GetTemplateRequest& request) {
  return absl::StrCat("template \"", request.template_(), "\" of organization \"",
                      request.organization(), "\"");
}

std::optional<storage::TemplatePageKey> PageKeyOf(const std::string& text) {
  const size_t slash = text.find('/');
  if (slash == std::string::npos) return std::nullopt;
  return storage::TemplatePageKey{text.substr(0, slash), text.substr(slash + 1)};
}

std::string TextOf(const TemplateRecord& last) {
  return absl::AsciiStrToLower(absl::StrCat(last.organization_name, "/", last.settings.name));
}

absl::Status CheckEtag(const std::string& etag, const TemplateRecord& current) {
  if (etag.empty() || etag == EtagOf(current)) return absl::OkStatus();
  return status::WithReason(
      absl::AbortedError(absl::StrCat("update ", Words(current.id), ": etag \"", etag,
                                      "\" is not current; read the template and try again")),
      "ETAG_MISMATCH");
}

bool IsEtagMismatch(const absl::Status& status) {
  const auto reason = status::ReasonOf(status);
  return reason && reason->reason == "ETAG_MISMATCH";
}

}  // namespace

absl::StatusOr<TemplateRecord> TemplateService::LoadTemplate(const CallContext& call,
                                                             absl::string_view field,
                                                             const std::string& id_text,
                                                             Action action) {
  ASSIGN_OR_RETURN(const TemplateId id, IdField<TemplateId>(field, id_text));
  ASSIGN_OR_RETURN(TemplateRecord record, parts_.templates.Get(id, call.deadline));
  call.Concerns("template", id_text, record.settings.name);
  RETURN_IF_ERROR(
      call.Authorize(action, {.organization_id = record.organization}, Words(record.id)));
  return record;
}

grpc::Status TemplateService::CreateTemplate(grpc::ServerContext* context,
                                             const v1::CreateTemplateRequest* request,
                                             v1::CreateTemplateResponse* response) {
  return HandleCall(
      parts_.gate, context, "/coder.api.v1.TemplateService/CreateTemplate", *request,
      [&](const CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(storage::NewTemplate made, NewTemplateFromProto(*request));
        RETURN_IF_ERROR(call.Authorize(Action::kCreateTemplate,
                                       {.organization_id = made.organization},
                                       absl::StrCat("organization ", request->organization_id())));
        ASSIGN_OR_RETURN(const auto key, RequestKeyOf(call, request->request_id(), *request));
        made.id = TemplateId(parts_.ids.Next());
        made.creator = call.caller->user_id;
        ASSIGN_OR_RETURN(const TemplateRecord record,
                         parts_.templates.Create(made, key, call.deadline));
        call.Concerns("template", record.id.ToString(), record.settings.name);
        *response->mutable_template_() = TemplateToProto(record);
        return absl::OkStatus();
      });
}

absl::StatusOr<TemplateRecord> TemplateService::FindTemplate(
    const CallContext& call, const v1::GetTemplateRequest& request) {
  if (request.organization().empty()) {
    const auto id = TemplateId::Parse(request.template_());
    if (!id.ok()) {
      return InvalidField("template",
                          "is no id; give an id, or a name together with its organization");
    }
    return LoadTemplate(call, "template", request.template_(), Action::kReadTemplate);
  }
  ASSIGN_OR_RETURN(
      TemplateRecord record,
      parts_.templates.FindByName(request.organization(), request.template_(), call.deadline));
  RETURN_IF_ERROR(call.Authorize(Action::kReadTemplate, {.organization_id = record.organization},
                                 Words(request)));
  return record;
}

grpc::Status TemplateService::GetTemplate(grpc::ServerContext* context,
                                          const v1::GetTemplateRequest* request,
                                          v1::GetTemplateResponse* response) {
  return HandleCall(parts_.gate, context, "/coder.api.v1.TemplateService/GetTemplate", *request,
                    [&](const CallContext& call) -> absl::Status {
                      ASSIGN_OR_RETURN(const TemplateRecord record, FindTemplate(call, *request));
                      *response->mutable_template_() = TemplateToProto(record);
                      return absl::OkStatus();
                    });
}

grpc::Status TemplateService::ListTemplates(grpc::ServerContext* context,
                                            const v1::ListTemplatesRequest* request,
                                            v1::ListTemplatesResponse* response) {
  return HandleCall(
      parts_.gate, context, "/coder.api.v1.TemplateService/ListTemplates", *request,
      [&](const CallContext& call) -> absl::Status {
        const std::string filter = absl::StrCat("templates of ", request->organization());
        ASSIGN_OR_RETURN(const std::string last,
                         storage::DecodePageToken(filter, request->page_token()));
        const auto size = static_cast<size_t>(storage::ClampPageSize(request->page_size()));
        ASSIGN_OR_RETURN(std::vector<TemplateRecord> page,
                         parts_.templates.List(auth::ScopeOf(*call.caller, Action::kReadTemplate),
                                               request->organization(), PageKeyOf(last),
                                               static_cast<int>(size) + 1, call.deadline));
        if (page.size() > size) {
          page.resize(size);
          response->set_next_page_token(storage::EncodePageToken(filter, TextOf(page.back())));
        }
        for (const TemplateRecord& record : page) {
          *response->add_templates() = TemplateToProto(record);
        }
        return absl::OkStatus();
      });
}

absl::StatusOr<TemplateRecord> TemplateService::Update(const CallContext& call,
                                                       const v1::UpdateTemplateRequest& request) {
  const v1::Template& wanted = request.template_();
  for (int attempt = 1;; ++attempt) {
    ASSIGN_OR_RETURN(const TemplateRecord current,
                     LoadTemplate(call, "template.id", wanted.id(), Action::kUpdateTemplate));
    RETURN_IF_ERROR(CheckEtag(wanted.etag(), current));
    ASSIGN_OR_RETURN(const storage::TemplateSettings settings,
                     WithUpdate(current.settings, wanted, request.update_mask()));
    absl::StatusOr<TemplateRecord> updated =
        parts_.templates.Update(current.id, current.revision, settings, call.deadline);
    if (updated.ok() || !wanted.etag().empty() || attempt == kUpdateAttempts ||
        !IsEtagMismatch(updated.status())) {
      return updated;
    }
  }
}

grpc::Status TemplateService::UpdateTemplate(grpc::ServerContext* context,
                                             const v1::UpdateTemplateRequest* request,
                                             v1::UpdateTemplateResponse* response) {
  return HandleCall(parts_.gate, context, "/coder.api.v1.TemplateService/UpdateTemplate", *request,
                    [&](const CallContext& call) -> absl::Status {
                      ASSIGN_OR_RETURN(const TemplateRecord record, Update(call, *request));
                      *response->mutable_template_() = TemplateToProto(record);
                      return absl::OkStatus();
                    });
}

grpc::Status TemplateService::PromoteTemplateVersion(
    grpc::ServerContext* context, const v1::PromoteTemplateVersionRequest* request,
    v1::PromoteTemplateVersionResponse* response) {
  return HandleCall(
      parts_.gate, context, "/coder.api.v1.TemplateService/PromoteTemplateVersion", *request,
      [&](const CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(
            const auto version,
            IdField<TemplateVersionId>("template_version_id", request->template_version_id()));
        ASSIGN_OR_RETURN(
            const TemplateRecord current,
            LoadTemplate(call, "template_id", request->template_id(), Action::kUpdateTemplate));
        call.Note("template_version_id", version.ToString());
        ASSIGN_OR_RETURN(const TemplateRecord record,
                         parts_.templates.Promote(current.id, version, call.deadline));
        *response->mutable_template_() = TemplateToProto(record);
        return absl::OkStatus();
      });
}

grpc::Status TemplateService::DeleteTemplate(grpc::ServerContext* context,
                                             const v1::DeleteTemplateRequest* request,
                                             v1::DeleteTemplateResponse*) {
  return HandleCall(parts_.gate, context, "/coder.api.v1.TemplateService/DeleteTemplate", *request,
                    [&](const CallContext& call) -> absl::Status {
                      ASSIGN_OR_RETURN(const TemplateRecord current,
                                       LoadTemplate(call, "template_id", request->template_id(),
                                                    Action::kDeleteTemplate));
                      return parts_.templates.Delete(current.id, call.deadline);
                    });
}

}  // namespace coder::api
