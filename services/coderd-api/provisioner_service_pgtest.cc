#include <catch2/catch.hpp>
#include <memory>
#include <thread>

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
#include "services/coderd-api/daemon_presence_pass.h"
#include "services/coderd-api/provisioner_job_rpcs.h"
#include "services/coderd-api/provisioner_service.h"
#include "services/coderd-api/stream_job_logs_reactor.h"

namespace coder::api {
namespace {

namespace pb = provisioner::v1;
using lifecycle::BuildId;
using testing::IsOk;
using testing::StatusIs;

constexpr absl::Duration kLease = absl::Seconds(30);

// What a call returned, as a domain status.
absl::Status Of(const grpc::Status& status) { return server::StatusFromGrpc(status); }

std::string ReasonOf(const grpc::Status& status) {
  const auto reason = status::ReasonOf(Of(status));
  return reason ? reason->reason : "";
}

// The service on a port, with a daemon's key and a member's token.
struct Fixture {
  Fixture() {
    key_id = world.NewId<lifecycle::ProvisionerKeyId>();
    world.Run(
        "INSERT INTO provisioner_keys (id, organization_id, name, hashed_secret, created_by) "
        "VALUES ($1, $2, 'key', $3, $4)",
        {key_id.ToString(), world.organization.ToString(), pg::Bytea{key.secret_hash},
         world.owner.ToString()});
    world.Run(
        "INSERT INTO api_keys (id, hashed_secret, user_id, kind, lifetime, expires_at) "
        "VALUES ($1, $2, $3, 'session', '1 day', now() + interval '1 day')",
        {user.id, pg::Bytea{user.secret_hash}, world.owner.ToString()});
    queue_signal.Subscribe([this](const auto& id) { dispatcher.Wake(id); });
    log_signal.Subscribe([this](const auto& id) { followers.Wake(id); });
    grpc.AddService(service, "coder.provisioner.v1.ProvisionerService");
    grpc.AddService(logs, "coder.api.v1.BuildService");
    grpc.AddService(admin, "coder.api.v1.ProvisionerAdminService");
    REQUIRE_THAT(dispatcher.Start(), IsOk());
    REQUIRE_THAT(grpc.Start(), IsOk());
    stub = pb::ProvisionerService::NewStub(grpc.InProcessChannel());
    admin_stub = v1::ProvisionerAdminService::NewStub(grpc.InProcessChannel());
    log_stub = v1::BuildService::NewStub(grpc.InProcessChannel());
  }

  ~Fixture() {
    grpc.Stop();
    dispatcher.Stop();
  }

  std::unique_ptr<grpc::ClientContext> Context(const std::string& token) {
    auto context = std::make_unique<grpc::ClientContext>();
    context->AddMetadata("authorization", "Bearer " + token);
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    return context;
  }

  BuildId QueueBuild(const std::string& name) {
    const BuildId build = world.AddBuild(world.AddWorkspace(name));
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
    REQUIRE_THAT(Of(reader->Finish()), IsOk());
    return state;
  }

  std::string StatusOf(const pb::Lease& lease) {
    return world.Run("SELECT status FROM provisioner_jobs WHERE id = $1", {lease.job_id()})
        .Get<std::string>(0, 0);
  }

  clock::SystemClock clock;
  storage::MigratedDatabase database{20};
  storage::SampleWorld world{database.pool()};
  pg::Pool pool{{.connect = {.conninfo = database.conninfo() + " options='-c role=coder_api'",
                             .application_name = "test"},
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

// A daemon's end of an AcquireJobs stream.
struct Daemon {
  Daemon(Fixture& f, int slots, const std::string& name = "daemon")
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

TEST_CASE("a waiting daemon is given the job when it is queued") {
  Fixture f;
  Daemon daemon(f, 1);
  daemon.Acquire();
  const BuildId build = f.QueueBuild("dev");
  const auto response = daemon.Next();
  REQUIRE(response.has_job());
  const pb::Job& job = response.job();
  CHECK(job.workspace_build().build_id() == build.ToString());
  CHECK(job.workspace_build().access_url() == "http://coder.test");
  CHECK(job.lease_duration().seconds() == 30);
  CHECK(f.StatusOf(job.lease()) == "running");
}

TEST_CASE("each acquire has exactly one answer, a job or a withdrawal") {
  Fixture f;
  Daemon daemon(f, 3);
  for (int i = 0; i < 3; ++i) daemon.Acquire();
  f.QueueBuild("dev");
  CHECK(daemon.Next().has_job());
  daemon.Withdraw();
  CHECK(daemon.Next().has_withdrawn());
  CHECK(daemon.Next().has_withdrawn());
  // Withdrawn slots may be asked for again.
  daemon.Acquire();
  f.QueueBuild("two");
  CHECK(daemon.Next().has_job());
}

TEST_CASE("a daemon may not wait with more slots than it has") {
  Fixture f;
  Daemon daemon(f, 1);
  daemon.Acquire();
  daemon.Acquire();
  CHECK_THAT(daemon.Ending(), StatusIs(absl::StatusCode::kInvalidArgument, "slots"));
}

TEST_CASE("a stream begins with a hello under a key") {
  Fixture f;
  const auto first_message = [&f](const std::string& token, bool hello) {
    auto context = f.Context(token);
    const auto stream = f.stub->AcquireJobs(context.get());
    pb::AcquireJobsRequest request;
    if (hello) {
      request.mutable_hello()->set_name("d");
      request.mutable_hello()->add_provisioners("echo");
      request.mutable_hello()->set_slots(1);
    } else {
      request.mutable_acquire();
    }
    stream->Write(request);
    pb::AcquireJobsResponse response;
    while (stream->Read(&response)) {
    }
    return Of(stream->Finish());
  };
  CHECK_THAT(first_message(f.key.text, false),
             StatusIs(absl::StatusCode::kInvalidArgument, "hello"));
  CHECK_THAT(first_message(auth::GenerateProvisionerKey().text, true),
             StatusIs(absl::StatusCode::kUnauthenticated));
  CHECK_THAT(first_message(f.user.text, true), StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_CASE("a job for a stream that is gone goes back to the queue") {
  Fixture f;
  Daemon gone(f, 1, "gone");
  gone.Acquire();
  gone.context->TryCancel();
  CHECK_THAT(gone.Ending(), StatusIs(absl::StatusCode::kCancelled));
  f.QueueBuild("dev");
  Daemon daemon(f, 1, "stays");
  CHECK(daemon.Job().workspace_build().workspace_name() == "dev");
}

TEST_CASE("a draining server says so and ends the stream") {
  Fixture f;
  Daemon daemon(f, 1);
  daemon.Acquire();
  f.QueueBuild("dev");
  REQUIRE(daemon.Next().has_job());
  for (const auto& stream : f.streams.All()) stream->Drain();
  CHECK(daemon.Next().has_drain());
  CHECK_THAT(daemon.Ending(), StatusIs(absl::StatusCode::kUnavailable, "reconnect"));
}

TEST_CASE("a revoked key ends its waiting streams at the next pass") {
  Fixture f;
  Daemon daemon(f, 1);
  daemon.Acquire();
  f.world.Run("UPDATE provisioner_keys SET revoked_at = now()");
  DaemonPresencePass pass(f.store, f.streams, nullptr);
  REQUIRE_THAT(pass.Run({}), IsOk());
  CHECK_THAT(daemon.Ending(), StatusIs(absl::StatusCode::kPermissionDenied, "revoked"));
}

TEST_CASE("a job runs from heartbeat to completion, its state sealed and stored before") {
  Fixture f;
  f.QueueBuild("dev");
  Daemon daemon(f, 1);
  const pb::Lease lease = daemon.Job().lease();
  CHECK(f.DownloadState(lease).empty());

  pb::HeartbeatRequest beat;
  *beat.mutable_lease() = lease;
  pb::HeartbeatResponse answer;
  REQUIRE_THAT(Of(f.Call(&pb::ProvisionerService::Stub::Heartbeat, beat, &answer)), IsOk());
  CHECK_FALSE(answer.cancel_requested());
  f.world.Run("UPDATE provisioner_jobs SET canceled_at = now() WHERE id = $1", {lease.job_id()});
  REQUIRE_THAT(Of(f.Call(&pb::ProvisionerService::Stub::Heartbeat, beat, &answer)), IsOk());
  CHECK(answer.cancel_requested());

  const std::string state(200'000, 's');
  pb::UploadStateResponse uploaded;
  REQUIRE_THAT(Of(f.Upload(lease, state, uploaded)), IsOk());
  CHECK_FALSE(uploaded.stored_late());
  CHECK(f.DownloadState(lease) == state);
  CHECK(f.world.Run("SELECT sealed_state FROM workspace_builds")
            .Get<pg::Bytea>(0, 0)
            .bytes.find("ssss") == std::string::npos);

  pb::CompleteJobRequest complete;
  *complete.mutable_lease() = lease;
  complete.mutable_workspace_build()->add_resources()->set_type("null_resource");
  for (int i = 0; i < 2; ++i) {
    REQUIRE_THAT(Of(f.Call(&pb::ProvisionerService::Stub::CompleteJob, complete)), IsOk());
  }
  CHECK(f.StatusOf(lease) == "succeeded");
  CHECK(ReasonOf(f.Call(&pb::ProvisionerService::Stub::Heartbeat, beat)) == "LEASE_LOST");
  CHECK(f.world.Run("SELECT count(*) FROM workspace_resources").Get<int64_t>(0, 0) == 1);
}

TEST_CASE("a runner that lost its lease is told so, and only its state is kept") {
  Fixture f;
  f.QueueBuild("dev");
  Daemon daemon(f, 1);
  const pb::Lease lease = daemon.Job().lease();
  f.world.Run("UPDATE provisioner_jobs SET lease_expires_at = now() - interval '1 s' WHERE id = $1",
              {lease.job_id()});
  REQUIRE(f.store.ReapExpired(10, clock::Deadline::After(absl::Minutes(1))).value().size() == 1);
  pb::CompleteJobRequest complete;
  *complete.mutable_lease() = lease;
  complete.mutable_workspace_build();
  CHECK(ReasonOf(f.Call(&pb::ProvisionerService::Stub::CompleteJob, complete)) == "LEASE_LOST");
  pb::AppendLogsRequest append;
  *append.mutable_lease() = lease;
  CHECK(ReasonOf(f.Call(&pb::ProvisionerService::Stub::AppendLogs, append)) == "LEASE_LOST");
  pb::UploadStateResponse uploaded;
  REQUIRE_THAT(Of(f.Upload(lease, "late", uploaded)), IsOk());
  CHECK(uploaded.stored_late());
}

TEST_CASE("a failed job says why and a released one waits again") {
  Fixture f;
  f.QueueBuild("dev");
  Daemon daemon(f, 1);
  pb::ReleaseJobRequest release;
  *release.mutable_lease() = daemon.Job().lease();
  REQUIRE_THAT(Of(f.Call(&pb::ProvisionerService::Stub::ReleaseJob, release)), IsOk());
  const pb::Lease lease = daemon.Job().lease();
  pb::FailJobRequest fail;
  *fail.mutable_lease() = lease;
  CHECK_THAT(Of(f.Call(&pb::ProvisionerService::Stub::FailJob, fail)),
             StatusIs(absl::StatusCode::kInvalidArgument, "error"));
  fail.set_error(std::string(2000, 'e'));
  REQUIRE_THAT(Of(f.Call(&pb::ProvisionerService::Stub::FailJob, fail)), IsOk());
  CHECK(f.StatusOf(lease) == "failed");
}

TEST_CASE("a follower reads a log as it grows and ends with the job") {
  Fixture f;
  f.QueueBuild("dev");
  Daemon daemon(f, 1);
  const pb::Lease lease = daemon.Job().lease();
  const auto append = [&](int64_t first, const std::string& output) {
    pb::AppendLogsRequest request;
    *request.mutable_lease() = lease;
    request.set_first_line(first);
    request.add_lines()->set_output(output);
    REQUIRE_THAT(Of(f.Call(&pb::ProvisionerService::Stub::AppendLogs, request)), IsOk());
  };
  append(0, "one");
  auto context = f.Context(f.user.text);
  v1::StreamJobLogsRequest request;
  request.set_job_id(lease.job_id());
  request.set_follow(true);
  const auto reader = f.log_stub->StreamJobLogs(context.get(), request);
  v1::StreamJobLogsResponse message;
  REQUIRE(reader->Read(&message));
  CHECK(message.logs(0).output() == "one");
  append(1, "two");
  f.followers.WakeAll();
  pb::FailJobRequest fail;
  *fail.mutable_lease() = lease;
  fail.set_error("no space");
  REQUIRE_THAT(Of(f.Call(&pb::ProvisionerService::Stub::FailJob, fail)), IsOk());
  std::string output;
  std::jthread poll([&f](std::stop_token stop) {
    while (f.clock.Wait(absl::Milliseconds(20), stop)) f.followers.WakeAll();
  });
  while (!message.has_job() && reader->Read(&message)) {
    for (const auto& line : message.logs()) output += line.output();
  }
  CHECK(output == "two");
  CHECK(message.job().error() == "no space");
  CHECK_FALSE(reader->Read(&message));
  CHECK_THAT(Of(reader->Finish()), IsOk());
}

TEST_CASE("administrators see jobs by pages, and the daemons of their organization") {
  Fixture f;
  for (int i = 0; i < 3; ++i) f.QueueBuild("ws" + std::to_string(i));
  Daemon daemon(f, 2);
  const pb::Lease lease = daemon.Job().lease();
  f.world.Run("UPDATE users SET site_roles = '{owner}' WHERE id = $1", {f.world.owner.ToString()});

  v1::ListProvisionerJobsRequest list;
  list.set_organization_id(f.world.organization.ToString());
  list.set_page_size(3);
  v1::ListProvisionerJobsResponse page;
  REQUIRE_THAT(Of(f.admin_stub->ListProvisionerJobs(f.Context(f.user.text).get(), list, &page)),
               IsOk());
  CHECK(page.jobs_size() == 3);
  list.set_page_token(page.next_page_token());
  REQUIRE_THAT(Of(f.admin_stub->ListProvisionerJobs(f.Context(f.user.text).get(), list, &page)),
               IsOk());
  CHECK(page.jobs_size() == 1);
  CHECK(page.next_page_token().empty());

  v1::GetProvisionerJobRequest get;
  get.set_id(lease.job_id());
  v1::GetProvisionerJobResponse got;
  REQUIRE_THAT(Of(f.admin_stub->GetProvisionerJob(f.Context(f.user.text).get(), get, &got)),
               IsOk());
  CHECK(got.job().worker_name() == "daemon");
  CHECK(got.job().matching_provisioners() == 1);

  v1::ListProvisionerDaemonsRequest daemons;
  daemons.set_organization_id(f.world.organization.ToString());
  v1::ListProvisionerDaemonsResponse listed;
  REQUIRE_THAT(
      Of(f.admin_stub->ListProvisionerDaemons(f.Context(f.user.text).get(), daemons, &listed)),
      IsOk());
  REQUIRE(listed.daemons_size() == 1);
  CHECK(listed.daemons(0).status() == v1::PROVISIONER_DAEMON_STATUS_BUSY);
  CHECK(listed.daemons(0).slots() == 2);
}

TEST_CASE("a log is nobody's who may not see the workspace") {
  Fixture f;
  f.QueueBuild("dev");
  Daemon daemon(f, 1);
  const pb::Lease lease = daemon.Job().lease();
  f.world.Run("UPDATE api_keys SET user_id = $1", {f.world.other.ToString()});
  auto context = f.Context(f.user.text);
  v1::StreamJobLogsRequest request;
  request.set_job_id(lease.job_id());
  const auto reader = f.log_stub->StreamJobLogs(context.get(), request);
  v1::StreamJobLogsResponse message;
  CHECK_FALSE(reader->Read(&message));
  CHECK_THAT(Of(reader->Finish()), StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace coder::api
