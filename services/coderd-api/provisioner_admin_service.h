#pragma once

#include "coder/api/v1/provisioner.grpc.pb.h"
#include "libs/ids/uuid.h"
#include "libs/storage/organization_store.h"
#include "libs/storage/provisioner_key_store.h"
#include "services/coderd-api/call.h"
#include "services/coderd-api/provisioner_job_rpcs.h"

namespace coder::api {

/// What administrators see of provisioner daemons, their keys and their jobs. Thread-safe.
class ProvisionerAdminService final : public ProvisionerJobRpcs {
 public:
  static constexpr char kName[] = "coder.api.v1.ProvisionerAdminService";

  /// What it works with; all must outlive the service.
  struct Parts {
    const CallGate& gate;
    storage::OrganizationStore& organizations;
    storage::ProvisionerKeyStore& keys;
    storage::JobViewStore& jobs;
    ids::UuidV7Generator& ids;
  };

  explicit ProvisionerAdminService(const Parts& parts)
      : ProvisionerJobRpcs(parts.gate, parts.organizations, parts.jobs), parts_(parts) {}

  grpc::Status CreateProvisionerKey(grpc::ServerContext* context,
                                    const v1::CreateProvisionerKeyRequest* request,
                                    v1::CreateProvisionerKeyResponse* response) override;
  grpc::Status ListProvisionerKeys(grpc::ServerContext* context,
                                   const v1::ListProvisionerKeysRequest* request,
                                   v1::ListProvisionerKeysResponse* response) override;
  grpc::Status RevokeProvisionerKey(grpc::ServerContext* context,
                                    const v1::RevokeProvisionerKeyRequest* request,
                                    v1::RevokeProvisionerKeyResponse* response) override;

 private:
  absl::Status CreateKey(const CallContext& call, const v1::CreateProvisionerKeyRequest& request,
                         v1::CreateProvisionerKeyResponse& response);

  const Parts parts_;
};

}  // namespace coder::api
