#include "libs/server/grpc_server.h"

#include <grpcpp/generic/generic_stub.h>
#include <sys/stat.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <future>

#include "absl/strings/str_cat.h"
#include "coder/api/v1/deployment.grpc.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "libs/clock/deadline.h"
#include "libs/clock/system_clock.h"
#include "libs/metrics/metrics.h"
#include "libs/server/channelz_page.h"
#include "libs/server/grpc_channel.h"
#include "libs/server/grpc_status.h"
#include "libs/server/http_get_for_test.h"
#include "libs/server/listener_check.h"
#include "libs/server/log.h"

namespace coder::server {
namespace {

namespace api = coder::api::v1;
namespace fs = std::filesystem;
namespace health = grpc::health::v1;

constexpr char kService[] = "coder.api.v1.DeploymentService";

class Deployment : public api::DeploymentService::Service {
 public:
  grpc::Status GetDeploymentInfo(grpc::ServerContext* context, const api::GetDeploymentInfoRequest*,
                                 api::GetDeploymentInfoResponse* response) override {
    response->set_version(RequestId(*context));
    if (during) during();
    return ToGrpcStatus(answer);
  }
  absl::Status answer;
  std::function<void()> during;
};

struct Fixture {
  clock::SystemClock clock;
  metrics::Metrics metrics{"v", "r", "c"};
  Deployment service;
  GrpcServerOptions options{.drain_delay = absl::ZeroDuration()};
  std::unique_ptr<GrpcServer> server;
  std::shared_ptr<grpc::Channel> channel;

  void Start(GrpcChannelOptions client = {}) {
    server = std::make_unique<GrpcServer>(options, clock, metrics.registry());
    server->AddService(service, kService);
    REQUIRE(server->Start().ok());
    client.target = "localhost:" + std::to_string(server->port());
    auto made = CreateChannel(client);
    REQUIRE(made.ok());
    channel = *made;
  }

  grpc::Status Call(grpc::ClientContext& context, std::string* echoed = nullptr) {
    api::GetDeploymentInfoResponse response;
    const grpc::Status status = api::DeploymentService::NewStub(channel)->GetDeploymentInfo(
        &context, api::GetDeploymentInfoRequest(), &response);
    if (echoed) *echoed = response.version();
    return status;
  }

  health::HealthCheckResponse::ServingStatus Health(const std::string& name,
                                                    grpc::StatusCode* code = nullptr) {
    grpc::ClientContext context;
    health::HealthCheckRequest request;
    request.set_service(name);
    health::HealthCheckResponse response;
    const grpc::Status status =
        health::Health::NewStub(channel)->Check(&context, request, &response);
    if (code) *code = status.error_code();
    return response.status();
  }

  std::string Metric(const std::string& name, const std::string& code = "") {
    const std::string line = name + "{" + (code.empty() ? "" : "grpc_code=\"" + code + "\",") +
                             "grpc_method=\"GetDeploymentInfo\",grpc_service=\"" + kService +
                             "\",grpc_type=\"unary\"} ";
    const std::string text = metrics.Text();
    const size_t at = text.find(line);
    if (at == std::string::npos) return "absent: " + line;
    return text.substr(at + line.size(), text.find('\n', at) - at - line.size());
  }
};

// A certificate for localhost that is its own authority, and its key, in files.
struct SelfSigned {
  explicit SelfSigned(const std::string& name) {
    const char* base = std::getenv("TEST_TMPDIR");
    const fs::path stem = fs::path(base ? base : "/tmp") / name;
    key = stem.string() + ".key.pem";
    certificate = stem.string() + ".cert.pem";
    const std::string command = absl::StrCat(
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test -addext "
        "subjectAltName=DNS:localhost -keyout ",
        key, " -out ", certificate, " 2>/dev/null");
    REQUIRE(std::system(command.c_str()) == 0);
  }

  std::string key;
  std::string certificate;
};

std::string Reflect(const std::shared_ptr<grpc::Channel>& channel, const std::string& request) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  grpc::Slice slice(request);
  const grpc::ByteBuffer sent(&slice, 1);
  grpc::ByteBuffer received;
  std::promise<grpc::Status> done;
  stub.UnaryCall(&context, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", {},
                 &sent, &received, [&](grpc::Status status) { done.set_value(status); });
  CHECK(done.get_future().get().ok());
  std::vector<grpc::Slice> slices;
  std::string text;
  if (received.Dump(&slices).ok()) {
    for (const grpc::Slice& part : slices) text.append(part.begin(), part.end());
  }
  return text;
}

TEST_CASE_METHOD(Fixture, "the channelz page counts the calls of the servers and channels") {
  AdminServer admin({}, metrics);
  AddChannelzPage(admin);
  REQUIRE(admin.Start().ok());
  Start();
  for (int i = 0; i < 3; ++i) {
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer canary-of-a-call");
    REQUIRE(Call(context).ok());
  }
  const std::string page = HttpRequest(admin.port(), "GET", "/debug/channelz");
  INFO(page);
  CHECK(page.find("200 OK") != std::string::npos);
  const size_t channels = page.find("\"channels\"");
  REQUIRE(channels != std::string::npos);
  CHECK(page.find("\"callsSucceeded\": \"3\"") < channels);
  CHECK(page.find("localhost:" + std::to_string(server->port()), channels) != std::string::npos);
  CHECK(page.find("canary") == std::string::npos);
}

TEST_CASE_METHOD(Fixture, "each method is measured from the start and by every call") {
  Start();
  CHECK(Metric("grpc_server_handled_total", "InvalidArgument") == "0");
  grpc::ClientContext first, second;
  CHECK(Call(first).ok());
  service.answer = absl::InvalidArgumentError("no");
  CHECK(Call(second).error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  server->Stop();
  CHECK(Metric("grpc_server_started_total") == "2");
  CHECK(Metric("grpc_server_handled_total", "OK") == "1");
  CHECK(Metric("grpc_server_handled_total", "InvalidArgument") == "1");
  CHECK(Metric("grpc_server_msg_received_total") == "2");
  CHECK(Metric("grpc_server_msg_sent_total") == "1");
  CHECK(Metric("grpc_server_handling_seconds_count") == "2");
}

TEST_CASE_METHOD(Fixture, "an internal error is logged once and sent as a neutral sentence") {
  Start();
  std::vector<std::string> lines;
  log::ScopedCapture capture([&](const std::string& line) { lines.push_back(line); });
  service.answer = absl::InternalError("relation \"users\" does not exist");
  grpc::ClientContext context;
  context.AddMetadata("x-request-id", "abc-1");
  const grpc::Status status = Call(context);
  server->Stop();
  CHECK(status.error_message() == "internal error (request abc-1)");
  CHECK(status.error_details().find("relation") == std::string::npos);
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find("\"level\":\"error\"") != std::string::npos);
  CHECK(lines[0].find("relation \\\"users\\\" does not exist") != std::string::npos);
  CHECK(lines[0].find("\"request_id\":\"abc-1\"") != std::string::npos);
}

TEST_CASE_METHOD(Fixture, "a request id is echoed, or made where none or a wild one came") {
  Start();
  std::string seen;
  grpc::ClientContext given;
  given.AddMetadata("x-request-id", "mine");
  REQUIRE(Call(given, &seen).ok());
  CHECK(seen == "mine");
  CHECK(given.GetServerInitialMetadata().find("x-request-id")->second == "mine");
  for (const std::string& wild : {std::string(), std::string(200, 'x'), std::string("a b")}) {
    grpc::ClientContext context;
    if (!wild.empty()) context.AddMetadata("x-request-id", wild);
    REQUIRE(Call(context, &seen).ok());
    CHECK(seen.size() == 32);
    CHECK(context.GetServerInitialMetadata().find("x-request-id")->second == seen);
  }
}

TEST_CASE_METHOD(Fixture, "reflection lists and describes the services, health among them") {
  Start();
  const std::string listed = Reflect(channel, std::string("\x3a\x00", 2));
  CHECK(listed.find(kService) != std::string::npos);
  CHECK(listed.find("grpc.health.v1.Health") != std::string::npos);
  const std::string symbol = "grpc.health.v1.Health";
  const std::string described =
      Reflect(channel, std::string("\x22") + static_cast<char>(symbol.size()) + symbol);
  CHECK(described.find("HealthCheckRequest") != std::string::npos);
}

TEST_CASE_METHOD(Fixture, "health knows each name and the drain turns all of them for good") {
  Start();
  grpc::StatusCode code = grpc::StatusCode::OK;
  CHECK(Health("") == health::HealthCheckResponse::SERVING);
  CHECK(Health(kService) == health::HealthCheckResponse::SERVING);
  Health("nobody", &code);
  CHECK(code == grpc::StatusCode::NOT_FOUND);
  server->SetServing("watch", false);
  CHECK(Health("watch") == health::HealthCheckResponse::NOT_SERVING);
  server->SetServing("watch", true);
  CHECK(Health("watch") == health::HealthCheckResponse::SERVING);
}

TEST_CASE_METHOD(Fixture,
                 "a drain reports NOT_SERVING, runs its callbacks and ends calls in hand") {
  server = std::make_unique<GrpcServer>(options, clock, metrics.registry());
  server->AddService(service, kService);
  auto observed = health::HealthCheckResponse::UNKNOWN;
  std::promise<void> running, release;
  service.during = [&] {
    running.set_value();
    release.get_future().wait();
  };
  server->OnDrain([&] {
    observed = Health(kService);
    release.set_value();
  });
  REQUIRE(server->Start().ok());
  auto made = CreateChannel({.target = "localhost:" + std::to_string(server->port())});
  channel = *made;
  auto call = std::async(std::launch::async, [&] {
    grpc::ClientContext context;
    return Call(context).ok();
  });
  running.get_future().wait();
  server->Drain(absl::Seconds(20));
  CHECK(observed == health::HealthCheckResponse::NOT_SERVING);
  CHECK(call.get());
  grpc::ClientContext late;
  late.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
  CHECK_FALSE(Call(late).ok());
}

TEST_CASE_METHOD(Fixture, "a taken port is a sentence") {
  Start();
  options.listen = "127.0.0.1:" + std::to_string(server->port());
  GrpcServer second(options, clock, metrics.registry());
  const absl::Status taken = second.Start();
  CHECK(taken.code() == absl::StatusCode::kUnavailable);
  CHECK(taken.message().find("choose another with --grpc-listen") != absl::string_view::npos);
}

TEST_CASE("a message over its limit is refused with both sizes") {
  api::GetDeploymentInfoResponse message;
  message.set_version(std::string(100, 'x'));
  CHECK(CheckMessageSize(message, 102).ok());
  const absl::Status refused = CheckMessageSize(message, 101);
  CHECK(refused.code() == absl::StatusCode::kResourceExhausted);
  CHECK(refused.message().find("102 bytes are over the limit of 101") != absl::string_view::npos);
}

TEST_CASE_METHOD(Fixture, "with TLS, plaintext and clients without a certificate are refused") {
  const SelfSigned own("refusing");
  options.tls = {.certificate = own.certificate, .key = own.key, .client_ca = own.certificate};
  Start(
      {.plaintext = false, .ca = own.certificate, .certificate = own.certificate, .key = own.key});
  grpc::ClientContext mutual;
  CHECK(Call(mutual).error_message().empty());
  const std::string target = "localhost:" + std::to_string(server->port());
  for (const GrpcChannelOptions& client : std::vector<GrpcChannelOptions>{
           {.target = target, .plaintext = false, .ca = own.certificate}, {.target = target}}) {
    channel = *CreateChannel(client);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
    CHECK_FALSE(Call(context).ok());
  }
  CHECK(ProbeListener("127.0.0.1", server->port(), true, absl::Seconds(10)).ok());
  CHECK(CreateChannel({.plaintext = false, .ca = own.certificate + ".absent"}).status().code() ==
        absl::StatusCode::kNotFound);
}

TEST_CASE_METHOD(Fixture, "a new certificate is served without a dropped call or a restart") {
  const SelfSigned served("served");
  const SelfSigned next("next");
  // Clients keep what they trust while the server's files change under it.
  const SelfSigned old("old");
  fs::copy_file(served.certificate, old.certificate, fs::copy_options::overwrite_existing);
  options.tls = {.certificate = served.certificate, .key = served.key, .refresh = absl::Seconds(1)};
  Start({.plaintext = false, .ca = old.certificate});
  grpc::ClientContext before;
  REQUIRE(Call(before).ok());

  fs::rename(next.key, served.key);
  fs::copy_file(next.certificate, served.certificate, fs::copy_options::overwrite_existing);
  const auto opened = channel;
  const auto deadline = clock::Deadline::After(absl::Minutes(1));
  bool renewed = false;
  while (!renewed && !deadline.Expired()) {
    grpc::ClientContext on_the_old_connection;
    channel = opened;
    REQUIRE(Call(on_the_old_connection).ok());
    channel = *CreateChannel({.target = "localhost:" + std::to_string(server->port()),
                              .plaintext = false,
                              .ca = next.certificate});
    grpc::ClientContext trusting_the_new;
    trusting_the_new.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    renewed = Call(trusting_the_new).ok();
    if (!renewed) clock.Wait(absl::Milliseconds(200), {});
  }
  CHECK(renewed);
}

TEST_CASE_METHOD(Fixture, "a connection of its full age is closed between calls, and calls go on") {
  options.max_connection_age = absl::Milliseconds(200);
  Start();
  grpc::ClientContext first;
  REQUIRE(Call(first).ok());
  // The server's farewell takes the channel out of READY; without the setting it would stay there.
  CHECK(channel->WaitForStateChange(GRPC_CHANNEL_READY,
                                    std::chrono::system_clock::now() + std::chrono::minutes(1)));
  grpc::ClientContext second;
  second.set_wait_for_ready(true);
  CHECK(Call(second).ok());
}

TEST_CASE_METHOD(Fixture, "a client presents its new certificate without a restart") {
  const SelfSigned server_own("server-own");
  const SelfSigned presented("presented");
  const SelfSigned next("next-client");
  const SelfSigned trusted("trusted");
  fs::copy_file(next.certificate, trusted.certificate, fs::copy_options::overwrite_existing);
  options.tls = {.certificate = server_own.certificate,
                 .key = server_own.key,
                 .client_ca = trusted.certificate};
  Start({.plaintext = false,
         .ca = server_own.certificate,
         .certificate = presented.certificate,
         .key = presented.key,
         .refresh = absl::Seconds(1)});
  grpc::ClientContext stranger;
  stranger.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  REQUIRE_FALSE(Call(stranger).ok());

  fs::rename(next.key, presented.key);
  fs::rename(next.certificate, presented.certificate);
  const auto deadline = clock::Deadline::After(absl::Minutes(1));
  bool known = false;
  while (!known && !deadline.Expired()) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    known = Call(context).ok();
    if (!known) clock.Wait(absl::Milliseconds(200), {});
  }
  CHECK(known);
}

}  // namespace
}  // namespace coder::server
