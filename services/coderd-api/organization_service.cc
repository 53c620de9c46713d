#include "services/coderd-api/organization_service.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/lifecycle/names.h"
#include "libs/status/status_macros.h"
#include "libs/storage/page_token.h"
#include "services/coderd-api/field_errors.h"
#include "services/coderd-api/identity_fields.h"
#include "services/coderd-api/proto_convert_identity.h"
#include "services/coderd-api/references.h"
#include "services/coderd-api/request_fields.h"

namespace coder::api {
namespace {

using auth::Action;
using storage::MemberRecord;
using storage::OrganizationRecord;
using storage::UserRecord;

absl::StatusOr<storage::OrganizationChange> ChangeOf(const v1::UpdateOrganizationRequest& request) {
  const v1::Organization& organization = request.organization();
  storage::OrganizationChange change;
  FieldErrors errors("update organization");
  for (const std::string& path : request.update_mask().paths()) {
    if (path == "name") {
      change.name = organization.name();
      errors.Add(lifecycle::CheckName("organization.name", organization.name()));
    } else if (path == "display_name") {
      change.display_name = organization.display_name();
      errors.Add(
          lifecycle::CheckDisplayName("organization.display_name", organization.display_name()));
    } else if (path == "description") {
      change.description = organization.description();
      errors.Add(CheckDescription("organization.description", organization.description()));
    } else {
      errors.Add(
          InvalidField("update_mask",
                       absl::StrCat("names '", path, "'; use name, display_name or description")));
    }
  }
  if (request.update_mask().paths().empty()) {
    errors.Add(InvalidField("update_mask", "is empty; name what to change"));
  }
  RETURN_IF_ERROR(errors.ToStatus());
  return change;
}

template <typename Request>
absl::StatusOr<auth::OrganizationRoles> RolesOf(const Request& request) {
  return auth::ParseOrganizationRoles("roles", {request.roles().begin(), request.roles().end()});
}

absl::Status InCallersWords(const absl::Status& status, const std::string& user) {
  return absl::IsNotFound(status) ? auth::NotFound(absl::StrCat("member '", user, "'")) : status;
}

}  // namespace

grpc::Status OrganizationService::CreateOrganization(grpc::ServerContext* context,
                                                     const v1::CreateOrganizationRequest* request,
                                                     v1::CreateOrganizationResponse* response) {
  return HandleCall(gate_, context, "/coder.api.v1.OrganizationService/CreateOrganization",
                    *request, [&](const CallContext& call) {
                      return Create(call, *request, *response->mutable_organization());
                    });
}

absl::Status OrganizationService::Create(const CallContext& call,
                                         const v1::CreateOrganizationRequest& request,
                                         v1::Organization& out) {
  FieldErrors errors("create organization");
  errors.Add(lifecycle::CheckName("name", request.name()));
  errors.Add(lifecycle::CheckDisplayName("display_name", request.display_name()));
  errors.Add(CheckDescription("description", request.description()));
  const auto key = RequestKeyOf(call, request.request_id(), request);
  errors.Add(key.status());
  RETURN_IF_ERROR(errors.ToStatus());
  ASSIGN_OR_RETURN(const OrganizationRecord organization,
                   organizations_.Create({.id = lifecycle::OrganizationId(ids_.Next()),
                                          .name = request.name(),
                                          .display_name = request.display_name(),
                                          .description = request.description(),
                                          .creator = call.caller->user_id},
                                         *key, call.deadline));
  call.Concerns("organization", organization.id.ToString(), organization.name);
  Encode(organization, out);
  return absl::OkStatus();
}

grpc::Status OrganizationService::GetOrganization(grpc::ServerContext* context,
                                                  const v1::GetOrganizationRequest* request,
                                                  v1::GetOrganizationResponse* response) {
  return HandleCall(gate_, context, "/coder.api.v1.OrganizationService/GetOrganization", *request,
                    [&](const CallContext& call) -> absl::Status {
                      ASSIGN_OR_RETURN(
                          const OrganizationRecord organization,
                          AuthorizedOrganization(organizations_, call, Action::kReadOrganization,
                                                 "organization", request->organization()));
                      Encode(organization, *response->mutable_organization());
                      return absl::OkStatus();
                    });
}

grpc::Status OrganizationService::ListOrganizations(grpc::ServerContext* context,
                                                    const v1::ListOrganizationsRequest* request,
                                                    v1::ListOrganizationsResponse* response) {
  return HandleCall(gate_, context, "/coder.api.v1.OrganizationService/ListOrganizations", *request,
                    [&](const CallContext& call) { return List(call, *request, *response); });
}

absl::Status OrganizationService::List(const CallContext& call,
                                       const v1::ListOrganizationsRequest& request,
                                       v1::ListOrganizationsResponse& response) {
  constexpr char kFilter[] = "organizations";
  const int size = storage::ClampPageSize(request.page_size());
  ASSIGN_OR_RETURN(const std::string after,
                   storage::DecodePageToken(kFilter, request.page_token()));
  const auth::Scope scope = auth::ScopeOf(*call.caller, Action::kReadOrganization);
  ASSIGN_OR_RETURN(std::vector<OrganizationRecord> organizations,
                   organizations_.List(scope, after, size + 1, call.deadline));
  if (organizations.size() > static_cast<size_t>(size)) {
    organizations.resize(size);
    response.set_next_page_token(storage::EncodePageToken(kFilter, organizations.back().name));
  }
  for (const auto& organization : organizations)
    Encode(organization, *response.add_organizations());
  return absl::OkStatus();
}

grpc::Status OrganizationService::UpdateOrganization(grpc::ServerContext* context,
                                                     const v1::UpdateOrganizationRequest* request,
                                                     v1::UpdateOrganizationResponse* response) {
  return HandleCall(
      gate_, context, "/coder.api.v1.OrganizationService/UpdateOrganization", *request,
      [&](const CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(const OrganizationRecord organization,
                         AuthorizedOrganization(organizations_, call, Action::kUpdateOrganization,
                                                "organization.id", request->organization().id()));
        ASSIGN_OR_RETURN(const storage::OrganizationChange change, ChangeOf(*request));
        ASSIGN_OR_RETURN(
            const OrganizationRecord updated,
            organizations_.Update(organization.id, change,
                                  RevisionOf(request->organization().etag()), call.deadline));
        Encode(updated, *response->mutable_organization());
        return absl::OkStatus();
      });
}

grpc::Status OrganizationService::DeleteOrganization(grpc::ServerContext* context,
                                                     const v1::DeleteOrganizationRequest* request,
                                                     v1::DeleteOrganizationResponse*) {
  return HandleCall(gate_, context, "/coder.api.v1.OrganizationService/DeleteOrganization",
                    *request, [&](const CallContext& call) -> absl::Status {
                      ASSIGN_OR_RETURN(
                          const OrganizationRecord organization,
                          AuthorizedOrganization(organizations_, call, Action::kDeleteOrganization,
                                                 "organization", request->organization()));
                      return organizations_.Delete(organization.id, call.deadline);
                    });
}

grpc::Status OrganizationService::ListMembers(grpc::ServerContext* context,
                                              const v1::ListMembersRequest* request,
                                              v1::ListMembersResponse* response) {
  return HandleCall(
      gate_, context, "/coder.api.v1.OrganizationService/ListMembers", *request,
      [&](const CallContext& call) { return ListMembersOf(call, *request, *response); });
}

absl::Status OrganizationService::ListMembersOf(const CallContext& call,
                                                const v1::ListMembersRequest& request,
                                                v1::ListMembersResponse& response) {
  ASSIGN_OR_RETURN(const OrganizationRecord organization,
                   AuthorizedOrganization(organizations_, call, Action::kReadMembers,
                                          "organization", request.organization()));
  const std::string filter = absl::StrCat("members:", organization.id.ToString());
  const int size = storage::ClampPageSize(request.page_size());
  ASSIGN_OR_RETURN(const std::string after, storage::DecodePageToken(filter, request.page_token()));
  ASSIGN_OR_RETURN(std::vector<MemberRecord> members,
                   organizations_.ListMembers(organization.id, after, size + 1, call.deadline));
  if (members.size() > static_cast<size_t>(size)) {
    members.resize(size);
    response.set_next_page_token(storage::EncodePageToken(filter, members.back().username));
  }
  for (const MemberRecord& member : members) Encode(member, *response.add_members());
  return absl::OkStatus();
}

grpc::Status OrganizationService::AddMember(grpc::ServerContext* context,
                                            const v1::AddMemberRequest* request,
                                            v1::AddMemberResponse* response) {
  return HandleCall(
      gate_, context, "/coder.api.v1.OrganizationService/AddMember", *request,
      [&](const CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(const OrganizationRecord organization,
                         AuthorizedOrganization(organizations_, call, Action::kWriteMembers,
                                                "organization", request->organization()));
        ASSIGN_OR_RETURN(const auth::OrganizationRoles roles, RolesOf(*request));
        call.Note("roles", absl::StrJoin(auth::ToWords(roles), ","));
        // Whoever may add members may add anybody whose name they know.
        ASSIGN_OR_RETURN(const UserRecord user, ResolveUser(users_, call, "user", request->user()));
        ASSIGN_OR_RETURN(const MemberRecord member,
                         organizations_.AddMember(organization.id, user.id, roles, call.deadline));
        Encode(member, *response->mutable_member());
        return absl::OkStatus();
      });
}

grpc::Status OrganizationService::SetMemberRoles(grpc::ServerContext* context,
                                                 const v1::SetMemberRolesRequest* request,
                                                 v1::SetMemberRolesResponse* response) {
  return HandleCall(
      gate_, context, "/coder.api.v1.OrganizationService/SetMemberRoles", *request,
      [&](const CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(const OrganizationRecord organization,
                         AuthorizedOrganization(organizations_, call, Action::kWriteMembers,
                                                "organization", request->organization()));
        ASSIGN_OR_RETURN(const auth::OrganizationRoles roles, RolesOf(*request));
        call.Note("roles", absl::StrJoin(auth::ToWords(roles), ","));
        ASSIGN_OR_RETURN(const UserRecord user, ResolveUser(users_, call, "user", request->user()));
        const auto member =
            organizations_.SetMemberRoles(organization.id, user.id, roles, call.deadline);
        RETURN_IF_ERROR(InCallersWords(member.status(), request->user()));
        Encode(*member, *response->mutable_member());
        return absl::OkStatus();
      });
}

grpc::Status OrganizationService::RemoveMember(grpc::ServerContext* context,
                                               const v1::RemoveMemberRequest* request,
                                               v1::RemoveMemberResponse*) {
  return HandleCall(
      gate_, context, "/coder.api.v1.OrganizationService/RemoveMember", *request,
      [&](const CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(const OrganizationRecord organization,
                         AuthorizedOrganization(organizations_, call, Action::kWriteMembers,
                                                "organization", request->organization()));
        ASSIGN_OR_RETURN(const UserRecord user, ResolveUser(users_, call, "user", request->user()));
        return InCallersWords(organizations_.RemoveMember(organization.id, user.id, call.deadline),
                              request->user());
      });
}

}  // namespace coder::api
