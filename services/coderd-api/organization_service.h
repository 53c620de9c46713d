#pragma once

#include "coder/api/v1/organization.grpc.pb.h"
#include "libs/ids/uuid.h"
#include "libs/storage/organization_store.h"
#include "libs/storage/user_store.h"
#include "services/coderd-api/call.h"

namespace coder::api {

/// Organizations and their members. Thread-safe.
class OrganizationService final : public v1::OrganizationService::Service {
 public:
  static constexpr char kName[] = "coder.api.v1.OrganizationService";

  /// All must outlive the service.
  OrganizationService(const CallGate& gate, storage::OrganizationStore& organizations,
                      storage::UserStore& users, ids::UuidV7Generator& ids)
      : gate_(gate), organizations_(organizations), users_(users), ids_(ids) {}

  grpc::Status CreateOrganization(grpc::ServerContext* context,
                                  const v1::CreateOrganizationRequest* request,
                                  v1::CreateOrganizationResponse* response) override;
  grpc::Status GetOrganization(grpc::ServerContext* context,
                               const v1::GetOrganizationRequest* request,
                               v1::GetOrganizationResponse* response) override;
  grpc::Status ListOrganizations(grpc::ServerContext* context,
                                 const v1::ListOrganizationsRequest* request,
                                 v1::ListOrganizationsResponse* response) override;
  grpc::Status UpdateOrganization(grpc::ServerContext* context,
                                  const v1::UpdateOrganizationRequest* request,
                                  v1::UpdateOrganizationResponse* response) override;
  grpc::Status DeleteOrganization(grpc::ServerContext* context,
                                  const v1::DeleteOrganizationRequest* request,
                                  v1::DeleteOrganizationResponse* response) override;
  grpc::Status ListMembers(grpc::ServerContext* context, const v1::ListMembersRequest* request,
                           v1::ListMembersResponse* response) override;
  grpc::Status AddMember(grpc::ServerContext* context, const v1::AddMemberRequest* request,
                         v1::AddMemberResponse* response) override;
  grpc::Status SetMemberRoles(grpc::ServerContext* context,
                              const v1::SetMemberRolesRequest* request,
                              v1::SetMemberRolesResponse* response) override;
  grpc::Status RemoveMember(grpc::ServerContext* context, const v1::RemoveMemberRequest* request,
                            v1::RemoveMemberResponse* response) override;

 private:
  absl::Status Create(const CallContext& call, const v1::CreateOrganizationRequest& request,
                      v1::Organization& out);
  absl::Status List(const CallContext& call, const v1::ListOrganizationsRequest& request,
                    v1::ListOrganizationsResponse& response);
  absl::Status ListMembersOf(const CallContext& call, const v1::ListMembersRequest& request,
                             v1::ListMembersResponse& response);

  const CallGate& gate_;
  storage::OrganizationStore& organizations_;
  storage::UserStore& users_;
  ids::UuidV7Generator& ids_;
};

}  // namespace coder::api
