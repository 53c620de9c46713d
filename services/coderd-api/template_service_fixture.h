#pragma once

#include <grpcpp/grpcpp.h>

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coder/api/v1/template.grpc.pb.h"
#include "libs/clock/system_clock.h"
#include "libs/crypto/keyring.h"
#include "libs/metrics/metrics.h"
#include "libs/server/grpc_server.h"
#include "libs/server/grpc_status.h"
#include "libs/status/error_reason.h"
#include "libs/storage/postgres/pg_credential_store.h"
#include "libs/storage/postgres/pg_file_store.h"
#include "libs/storage/postgres/pg_template_store.h"
#include "libs/storage/postgres/pg_template_version_store.h"
#include "libs/storage/postgres/testing/migrated_database.h"
#include "libs/storage/postgres/testing/sample_world.h"
#include "services/coderd-api/template_service.h"

namespace coder::api {

/// The reason a status carries, or nothing.
inline std::string Reason(const absl::Status& status) {
  const auto reason = status::ReasonOf(status);
  return reason ? reason->reason : "";
}

/// The first field a status complains of, or nothing.
inline std::string Field(const absl::Status& status) {
  const auto violations = status::FieldViolationsOf(status);
  return violations.empty() ? "" : violations[0].field;
}

/// The service on a port of its own over a database of its own, with people of all rights. Every
/// token is of the person it is named after.
class TemplateServiceFixture {
 public:
  /// No call lasts longer than `max_call`.
  explicit TemplateServiceFixture(absl::Duration max_call = absl::Minutes(1))
      : gate(authenticator, clock, max_call) {
    foreign_organization = world.identities.AddOrganization("other");
    admin_id = world.AddUser("admin");
    world.identities.SetSiteRoles(admin_id, {auth::SiteRole::kTemplateAdmin});
    admin = TokenOf(admin_id);
    member = TokenOf(world.other);
    const lifecycle::UserId local = world.AddUser("local");
    world.identities.SetMemberRoles(world.organization, local,
                                    {auth::OrganizationRole::kTemplateAdmin});
    organization_admin = TokenOf(local);
    const lifecycle::UserId stranger_id = world.identities.AddUser("stranger");
    world.identities.AddMember(foreign_organization, stranger_id,
                               {auth::OrganizationRole::kTemplateAdmin});
    stranger = TokenOf(stranger_id);
    server.AddService(service, TemplateService::kName);
    REQUIRE(server.Start().ok());
    stub = v1::TemplateService::NewStub(grpc::CreateChannel(
        absl::StrCat("127.0.0.1:", server.port()), grpc::InsecureChannelCredentials()));
  }
  ~TemplateServiceFixture() { server.Stop(); }

  std::string TokenOf(const lifecycle::UserId& user) { return world.identities.AddSession(user); }

  void Prepare(grpc::ClientContext& context, const std::string& token) const {
    context.AddMetadata("authorization", "Bearer " + token);
  }

  /// Calls a unary method of the stub, as in `Call(&Stub::GetTemplate, admin, request)`.
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (v1::TemplateService::Stub::*method)(
                                    grpc::ClientContext*, const Request&, Response*),
                                const std::string& token, const Request& request) {
    grpc::ClientContext context;
    Prepare(context, token);
    Response response;
    const absl::Status status =
        server::StatusFromGrpc((stub.get()->*method)(&context, request, &response));
    if (!status.ok()) return status;
    return response;
  }

  /// Sends `data` in chunks and returns the answer.
  absl::StatusOr<v1::UploadFileResponse> Upload(const std::string& token, const std::string& data,
                                                const std::string& media_type = "application/x-tar",
                                                size_t chunk_bytes = 64 * 1024) {
    grpc::ClientContext context;
    Prepare(context, token);
    v1::UploadFileResponse response;
    const auto writer = stub->UploadFile(&context, &response);
    v1::UploadFileRequest message;
    message.mutable_info()->set_media_type(media_type);
    message.mutable_info()->set_organization_id(world.organization.ToString());
    bool open = writer->Write(message);
    for (size_t at = 0; open && at < data.size(); at += chunk_bytes) {
      message.set_chunk(data.substr(at, chunk_bytes));
      open = writer->Write(message);
    }
    writer->WritesDone();
    const absl::Status status = server::StatusFromGrpc(writer->Finish());
    if (!status.ok()) return status;
    return response;
  }

  storage::MigratedDatabase database;
  storage::SampleWorld world{database.pool()};
  pg::Pool pool{{.connect = {.conninfo = database.conninfo("coder_api")}, .max_connections = 8}};
  clock::SystemClock clock;
  metrics::Metrics metrics{"v", "r", "c"};
  storage::PgCredentialStore credentials{pool};
  Authenticator authenticator{credentials, clock, server::Secret()};
  CallGate gate;
  storage::PgFileStore files{pool};
  storage::PgTemplateVersionStore versions{pool};
  storage::PgTemplateStore templates{pool};
  crypto::Keyring keyring = crypto::Keyring::Parse(crypto::Keyring::NewLine("k1")).value();
  ids::UuidV7Generator ids{[this] { return clock.Now(); }, ids::SystemRandom()};
  std::vector<lifecycle::OrganizationId> queued;
  std::vector<lifecycle::JobId> ended;
  TemplateService service{{gate, files, versions, templates, keyring, ids,
                           [this](const lifecycle::OrganizationId& id) { queued.push_back(id); },
                           [this](const lifecycle::JobId& id) { ended.push_back(id); }}};
  server::GrpcServer server{{.drain_delay = absl::ZeroDuration()}, clock, metrics.registry()};
  std::unique_ptr<v1::TemplateService::Stub> stub;

  lifecycle::OrganizationId foreign_organization;
  lifecycle::UserId admin_id;
  /// Tokens: of a site-wide template admin, a plain member, a template admin of the organization,
  /// and one of another organization.
  std::string admin, member, organization_admin, stranger;
};

}  // namespace coder::api
