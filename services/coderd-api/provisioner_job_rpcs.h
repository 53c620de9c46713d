#pragma once

#include "coder/api/v1/provisioner.grpc.pb.h"
#include "libs/storage/job_view_store.h"
#include "libs/storage/organization_store.h"
#include "services/coderd-api/call.h"

namespace coder::api {

/// The part of ProvisionerAdminService that shows daemons and jobs. Thread-safe.
class ProvisionerJobRpcs : public v1::ProvisionerAdminService::Service {
 public:
  /// All must outlive the service.
  ProvisionerJobRpcs(const CallGate& gate, storage::OrganizationStore& organizations,
                     storage::JobViewStore& jobs)
      : gate_(gate), organizations_(organizations), jobs_(jobs) {}

  grpc::Status ListProvisionerDaemons(grpc::ServerContext* context,
                                      const v1::ListProvisionerDaemonsRequest* request,
                                      v1::ListProvisionerDaemonsResponse* response) override;
  grpc::Status ListProvisionerJobs(grpc::ServerContext* context,
                                   const v1::ListProvisionerJobsRequest* request,
                                   v1::ListProvisionerJobsResponse* response) override;
  grpc::Status GetProvisionerJob(grpc::ServerContext* context,
                                 const v1::GetProvisionerJobRequest* request,
                                 v1::GetProvisionerJobResponse* response) override;

 private:
  absl::Status ListJobs(const CallContext& call, const v1::ListProvisionerJobsRequest& request,
                        v1::ListProvisionerJobsResponse& response);

  const CallGate& gate_;
  storage::OrganizationStore& organizations_;
  storage::JobViewStore& jobs_;
};

}  // namespace coder::api
