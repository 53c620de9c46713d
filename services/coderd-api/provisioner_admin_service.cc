#include "services/coderd-api/provisioner_admin_service.h"

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/auth/token.h"
#include "libs/lifecycle/job_tags.h"
#include "libs/status/status_macros.h"
#include "services/coderd-api/field_errors.h"
#include "services/coderd-api/identity_fields.h"
#include "services/coderd-api/proto_convert_identity.h"
#include "services/coderd-api/references.h"
#include "services/coderd-api/request_fields.h"

namespace coder::api {

namespace {

constexpr size_t kMaxKeyTags = 16;

}  // namespace

using auth::Action;
using storage::OrganizationRecord;
using storage::ProvisionerKeyRecord;

grpc::Status ProvisionerAdminService::CreateProvisionerKey(
    grpc::ServerContext* context, const v1::CreateProvisionerKeyRequest* request,
    v1::CreateProvisionerKeyResponse* response) {
  return HandleCall(parts_.gate, context,
                    "/coder.api.v1.ProvisionerAdminService/CreateProvisionerKey", *request,
                    [&](const CallContext& call) { return CreateKey(call, *request, *response); });
}

absl::Status ProvisionerAdminService::CreateKey(const CallContext& call,
                                                const v1::CreateProvisionerKeyRequest& request,
                                                v1::CreateProvisionerKeyResponse& response) {
  ASSIGN_OR_RETURN(const OrganizationRecord organization,
                   AuthorizedOrganization(parts_.organizations, call, Action::kWriteProvisionerKeys,
                                          "organization_id", request.organization_id()));
  const std::map<std::string, std::string> tags(request.tags().begin(), request.tags().end());
  FieldErrors errors("create provisioner key");
  errors.Add(CheckLabel("name", request.name()));
  errors.Add(lifecycle::CheckJobTags("tags", tags));
  if (tags.size() > kMaxKeyTags) errors.Add(InvalidField("tags", "are more than 16"));
  RETURN_IF_ERROR(errors.ToStatus());
  const auth::NewProvisionerKey key = auth::GenerateProvisionerKey();
  ASSIGN_OR_RETURN(const ProvisionerKeyRecord stored,
                   parts_.keys.Create({.id = lifecycle::ProvisionerKeyId(parts_.ids.Next()),
                                       .organization_id = organization.id,
                                       .name = request.name(),
                                       .hashed_secret = key.secret_hash,
                                       .tags = tags,
                                       .creator = call.caller->user_id},
                                      call.deadline));
  call.Concerns("provisioner_key", stored.id.ToString(), stored.name);
  Encode(stored, *response.mutable_key());
  response.set_secret(key.text);
  return absl::OkStatus();
}

grpc::Status ProvisionerAdminService::ListProvisionerKeys(
    grpc::ServerContext* context, const v1::ListProvisionerKeysRequest* request,
    v1::ListProvisionerKeysResponse* response) {
  return HandleCall(
      parts_.gate, context, "/coder.api.v1.ProvisionerAdminService/ListProvisionerKeys", *request,
      [&](const CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(
            const OrganizationRecord organization,
            AuthorizedOrganization(parts_.organizations, call, Action::kReadProvisionerKeys,
                                   "organization_id", request->organization_id()));
        ASSIGN_OR_RETURN(const std::vector<ProvisionerKeyRecord> keys,
                         parts_.keys.List(organization.id, call.deadline));
        for (const ProvisionerKeyRecord& key : keys) Encode(key, *response->add_keys());
        return absl::OkStatus();
      });
}

grpc::Status ProvisionerAdminService::RevokeProvisionerKey(
    grpc::ServerContext* context, const v1::RevokeProvisionerKeyRequest* request,
    v1::RevokeProvisionerKeyResponse*) {
  return HandleCall(
      parts_.gate, context, "/coder.api.v1.ProvisionerAdminService/RevokeProvisionerKey", *request,
      [&](const CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(const auto id, IdField<lifecycle::ProvisionerKeyId>("id", request->id()));
        const std::string words = absl::StrCat("provisioner key '", request->id(), "'");
        const auto key = parts_.keys.Find(id, call.deadline);
        if (absl::IsNotFound(key.status())) return auth::NotFound(words);
        RETURN_IF_ERROR(key.status());
        call.Concerns("provisioner_key", key->id.ToString(), key->name);
        const auth::ObjectRef object = {.organization_id = key->organization_id};
        RETURN_IF_ERROR(call.Authorize(Action::kWriteProvisionerKeys, object, words));
        return parts_.keys.Revoke(id, call.deadline);
      });
}

}  // namespace coder::api
