#pragma once

#include <catch2/catch.hpp>
#include <memory>
#include <string>

#include "coder/api/v1/build.grpc.pb.h"
#include "libs/auth/token.h"
#include "libs/clock/system_clock.h"
#include "libs/server/grpc_server.h"
#include "libs/server/grpc_status.h"
#include "libs/status/error_reason.h"
#include "libs/storage/postgres/pg_credential_store.h"
#include "libs/storage/postgres/pg_job_store.h"
#include "libs/storage/postgres/pg_job_view_store.h"
#include "libs/storage/postgres/pg_organization_store.h"
#include "libs/storage/postgres/testing/migrated_database.h"
#include "libs/storage/postgres/testing/sample_world.h"
#include "libs/testing/matchers.h"
#include "services/coderd-api/provisioner_job_rpcs.h"
#include "services/coderd-api/provisioner_service.h"
#include "services/coderd-api/stream_job_logs_reactor.h"

namespace coder::api {

namespace pb = provisioner::v1;

inline constexpr absl::Duration kLease = absl::Seconds(30);

/// What a call returned, as a domain status.
inline absl::Status Of(const grpc::Status& status) { return server::StatusFromGrpc(status); }

/// The reason a call was refused for, or nothing.
inline std::string ReasonOf(const grpc::Status& status) {
  const auto reason = status::ReasonOf(Of(status));
  return reason ? reason->reason : "";
}

/// The service on a port, with a daemon's key and a member's token.
struct ProvisionerServiceFixture {
  ProvisionerServiceFixture() {
    key_id = world.identities.AddProvisionerKey(key.secret_hash, world.organization, world.owner);
    world.identities.AddSession(user, world.owner);
    queue_signal.Subscribe([this](const auto& id) { dispatcher.Wake(id); });
    log_signal.Subscribe([this](const auto& id) { followers.Wake(id); });
    grpc.AddService(service, "coder.provisioner.v1.ProvisionerService");
    grpc.AddService(logs, "coder.api.v1.BuildService");
    grpc.AddService(admin, "coder.api.v1.ProvisionerAdminService");
    REQUIRE_THAT(dispatcher.Start(), testing::IsOk());
    REQUIRE_THAT(grpc.Start(), testing::IsOk());
    stub = pb::ProvisionerService::NewStub(grpc.InProcessChannel());
    admin_stub = v1::ProvisionerAdminService::NewStub(grpc.InProcessChannel());
    log_stub = v1::BuildService::NewStub(grpc.InProcessChannel());
  }

  ~ProvisionerServiceFixture() {
    grpc.Stop();
    dispatcher.Stop();
  }

  std::unique_ptr<grpc::ClientContext> Context(const std::string& token) {
    auto context = std::make_unique<grpc::ClientContext>();
    context->AddMetadata("authorization", "Bearer " + token);
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    return context;
  }

  lifecycle::BuildId QueueBuild(const std::string& name) {
    const lifecycle::BuildId build = world.AddBuild(world.AddWorkspace(name));
    queue_signal.Poke(world.organization);
    return build;
  }

  template <typename Request, typename Response>
  grpc::Status Call(grpc::Status (pb::ProvisionerService::Stub::*method)(grpc::ClientContext*,
                                                                         const Request&, Response*),
                    const Request& request, Response* response = nullptr) {
    Response unused;
    return (stub.get()->*method)(Context(key.text).get(), request,
                                 response != nullptr ? response : &unused);
  }

  grpc::Status Upload(const pb::Lease& lease, const std::string& state,
                      pb::UploadStateResponse& response) {
    auto context = Context(key.text);
    const auto writer = stub->UploadState(context.get(), &response);
    pb::UploadStateRequest message;
    *message.mutable_lease() = lease;
    writer->Write(message);
    for (size_t sent = 0; sent < state.size(); sent += 65536) {
      message.set_chunk(state.substr(sent, 65536));
      writer->Write(message);
    }
    writer->WritesDone();
    return writer->Finish();
  }

  std::string DownloadState(const pb::Lease& lease) {
    auto context = Context(key.text);
    pb::DownloadStateRequest request;
    *request.mutable_lease() = lease;
    const auto reader = stub->DownloadState(context.get(), request);
    std::string state;
    pb::DownloadStateResponse message;
    while (reader->Read(&message)) state += message.chunk();
    REQUIRE_THAT(Of(reader->Finish()), testing::IsOk());
    return state;
  }

  std::string StatusOf(const pb::Lease& lease) { return world.JobStatus(lease.job_id()); }

  clock::SystemClock clock;
  storage::MigratedDatabase database{20};
  storage::SampleWorld world{database.pool()};
  pg::Pool pool{
      {.connect = {.conninfo = database.conninfo("coder_api"), .application_name = "test"},
       .max_connections = 10}};
  prometheus::Registry registry;
  ids::UuidV7Generator ids{[this] { return clock.Now(); }, ids::SystemRandom()};
  auth::NewProvisionerKey key = auth::GenerateProvisionerKey();
  auth::NewApiKey user = auth::GenerateApiKey();
  lifecycle::ProvisionerKeyId key_id;
  crypto::Keyring keyring = *crypto::Keyring::Parse(crypto::Keyring::NewLine("k1"));

  storage::PgCredentialStore credentials{pool};
  Authenticator authenticator{credentials, clock, server::Secret("")};
  CallGate gate{authenticator, clock};
  storage::PgJobStore store{pool, ids};
  storage::PgJobViewStore views{pool};
  events::NullOutboxPoker poker;
  JobQueueSignal queue_signal;
  JobLogSignal log_signal;
  WorkQueue work{2, 100};
  AcquireStreamSet streams;
  LogFollowers followers;
  JobDispatcher dispatcher{store, {.lease = kLease}};
  AcquireJobsParts acquire{gate,    store,   dispatcher,          work,
                           streams, keyring, "http://coder.test", kLease};
  ProvisionerService service{
      {gate, store, keyring, poker, queue_signal, log_signal, acquire, kLease, nullptr}};
  StreamJobLogsParts log_parts{gate, views, work, followers};
  BuildLogService logs{log_parts};
  storage::PgOrganizationStore organizations{pool};
  ProvisionerJobRpcs admin{gate, organizations, views};
  server::GrpcServer grpc{{.drain_delay = absl::ZeroDuration()}, clock, registry};
  std::unique_ptr<pb::ProvisionerService::Stub> stub;
  std::unique_ptr<v1::BuildService::Stub> log_stub;
  std::unique_ptr<v1::ProvisionerAdminService::Stub> admin_stub;
};

/// A daemon's end of an AcquireJobs stream.
struct Daemon {
  Daemon(ProvisionerServiceFixture& f, int slots, const std::string& name = "daemon")
      : context(f.Context(f.key.text)) {
    stream = f.stub->AcquireJobs(context.get());
    pb::AcquireJobsRequest hello;
    hello.mutable_hello()->set_name(name);
    hello.mutable_hello()->add_provisioners("echo");
    hello.mutable_hello()->set_slots(slots);
    REQUIRE(stream->Write(hello));
    const auto welcome = Next();
    REQUIRE(welcome.has_welcome());
    CHECK(welcome.welcome().organization_id() == f.world.organization.ToString());
  }

  void Acquire() {
    pb::AcquireJobsRequest request;
    request.mutable_acquire();
    REQUIRE(stream->Write(request));
  }

  void Withdraw() {
    pb::AcquireJobsRequest request;
    request.mutable_withdraw();
    REQUIRE(stream->Write(request));
  }

  pb::AcquireJobsResponse Next() {
    pb::AcquireJobsResponse response;
    if (!stream->Read(&response)) FAIL("the stream ended: " << Of(stream->Finish()));
    return response;
  }

  absl::Status Ending() {
    pb::AcquireJobsResponse response;
    while (stream->Read(&response)) {
    }
    return Of(stream->Finish());
  }

  pb::Job Job() {
    Acquire();
    const auto response = Next();
    REQUIRE(response.has_job());
    return response.job();
  }

  std::unique_ptr<grpc::ClientContext> context;
  std::unique_ptr<grpc::ClientReaderWriter<pb::AcquireJobsRequest, pb::AcquireJobsResponse>> stream;
};

}  // namespace coder::api
