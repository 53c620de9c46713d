#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coder/api/v1/template.grpc.pb.h"
#include "libs/crypto/keyring.h"
#include "libs/ids/uuid.h"
#include "libs/storage/file_store.h"
#include "libs/storage/template_store.h"
#include "libs/storage/template_version_store.h"
#include "services/coderd-api/call.h"

namespace coder::api {

/// Templates, their versions and the archives they are made of. Thread-safe.
class TemplateService final : public v1::TemplateService::Service {
 public:
  static constexpr char kName[] = "coder.api.v1.TemplateService";
  /// Up- and downloads at once, each of which holds a thread and up to 10 MiB; more are refused
  /// with RESOURCE_EXHAUSTED.
  static constexpr int kMaxTransfers = 8;
  static constexpr size_t kMaxChunkBytes = 64 * 1024;

  /// What the service works with; all must outlive it.
  struct Parts {
    const CallGate& gate;
    storage::FileStore& files;
    storage::TemplateVersionStore& versions;
    storage::TemplateStore& templates;
    const crypto::Keyring& keyring;
    ids::UuidV7Generator& ids;
    /// Called after an import was put into an organization's queue; returns at once.
    std::function<void(const lifecycle::OrganizationId&)> job_queued;
    /// Called after a cancel may have ended a job; returns at once.
    std::function<void(const lifecycle::JobId&)> job_ended;
  };

  explicit TemplateService(Parts parts) : parts_(std::move(parts)) {}

  grpc::Status UploadFile(grpc::ServerContext* context,
                          grpc::ServerReader<v1::UploadFileRequest>* reader,
                          v1::UploadFileResponse* response) override;
  grpc::Status DownloadTemplateVersion(
      grpc::ServerContext* context, const v1::DownloadTemplateVersionRequest* request,
      grpc::ServerWriter<v1::DownloadTemplateVersionResponse>* writer) override;

  grpc::Status CreateTemplateVersion(grpc::ServerContext* context,
                                     const v1::CreateTemplateVersionRequest* request,
                                     v1::CreateTemplateVersionResponse* response) override;
  grpc::Status GetTemplateVersion(grpc::ServerContext* context,
                                  const v1::GetTemplateVersionRequest* request,
                                  v1::GetTemplateVersionResponse* response) override;
  grpc::Status ListTemplateVersions(grpc::ServerContext* context,
                                    const v1::ListTemplateVersionsRequest* request,
                                    v1::ListTemplateVersionsResponse* response) override;
  grpc::Status ListTemplateVersionParameters(
      grpc::ServerContext* context, const v1::ListTemplateVersionParametersRequest* request,
      v1::ListTemplateVersionParametersResponse* response) override;
  grpc::Status ListTemplateVersionResources(
      grpc::ServerContext* context, const v1::ListTemplateVersionResourcesRequest* request,
      v1::ListTemplateVersionResourcesResponse* response) override;
  grpc::Status CancelTemplateVersion(grpc::ServerContext* context,
                                     const v1::CancelTemplateVersionRequest* request,
                                     v1::CancelTemplateVersionResponse* response) override;
  grpc::Status ArchiveTemplateVersion(grpc::ServerContext* context,
                                      const v1::ArchiveTemplateVersionRequest* request,
                                      v1::ArchiveTemplateVersionResponse* response) override;

  grpc::Status CreateTemplate(grpc::ServerContext* context,
                              const v1::CreateTemplateRequest* request,
                              v1::CreateTemplateResponse* response) override;
  grpc::Status GetTemplate(grpc::ServerContext* context, const v1::GetTemplateRequest* request,
                           v1::GetTemplateResponse* response) override;
  grpc::Status ListTemplates(grpc::ServerContext* context, const v1::ListTemplatesRequest* request,
                             v1::ListTemplatesResponse* response) override;
  grpc::Status UpdateTemplate(grpc::ServerContext* context,
                              const v1::UpdateTemplateRequest* request,
                              v1::UpdateTemplateResponse* response) override;
  grpc::Status PromoteTemplateVersion(grpc::ServerContext* context,
                                      const v1::PromoteTemplateVersionRequest* request,
                                      v1::PromoteTemplateVersionResponse* response) override;
  grpc::Status DeleteTemplate(grpc::ServerContext* context,
                              const v1::DeleteTemplateRequest* request,
                              v1::DeleteTemplateResponse* response) override;

 private:
  class Transfer;

  // Loads what a request names and has the caller's right to do `action` to it checked.
  absl::StatusOr<storage::TemplateVersionRecord> LoadVersion(const CallContext& call,
                                                             absl::string_view field,
                                                             const std::string& id,
                                                             auth::Action action);
  absl::StatusOr<storage::TemplateRecord> LoadTemplate(const CallContext& call,
                                                       absl::string_view field,
                                                       const std::string& id, auth::Action action);

  absl::StatusOr<storage::TemplateVersionRecord> CreateVersion(
      const CallContext& call, const v1::CreateTemplateVersionRequest& request);
  absl::StatusOr<storage::TemplateRecord> FindTemplate(const CallContext& call,
                                                       const v1::GetTemplateRequest& request);
  absl::StatusOr<storage::TemplateRecord> Update(const CallContext& call,
                                                 const v1::UpdateTemplateRequest& request);
  absl::StatusOr<storage::NewFile> ReceiveFile(const CallContext& call,
                                               grpc::ServerReader<v1::UploadFileRequest>& reader);

  const Parts parts_;
  std::atomic<int> transfers_ = 0;
};

}  // namespace coder::api
