#pragma once

#include "coder/api/v1/audit.grpc.pb.h"
#include "libs/storage/audit_log_store.h"
#include "libs/storage/organization_store.h"
#include "services/coderd-api/call.h"

namespace coder::api {

/// Who did what. Thread-safe.
class AuditService final : public v1::AuditService::Service {
 public:
  static constexpr char kName[] = "coder.api.v1.AuditService";

  /// All must outlive the service.
  AuditService(const CallGate& gate, storage::AuditLogStore& store,
               storage::OrganizationStore& organizations)
      : gate_(gate), store_(store), organizations_(organizations) {}

  grpc::Status ListAuditLogs(grpc::ServerContext* context, const v1::ListAuditLogsRequest* request,
                             v1::ListAuditLogsResponse* response) override;

 private:
  absl::StatusOr<storage::AuditFilter> Decode(const CallContext& call,
                                              const v1::ListAuditLogsRequest& request);
  absl::Status List(const CallContext& call, const v1::ListAuditLogsRequest& request,
                    v1::ListAuditLogsResponse& response);

  const CallGate& gate_;
  storage::AuditLogStore& store_;
  storage::OrganizationStore& organizations_;
};

}  // namespace coder::api
