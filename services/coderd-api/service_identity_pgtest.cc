#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/server/grpc_channel.h"
#include "libs/server/grpc_status.h"
#include "libs/status/error_reason.h"
#include "services/coderd-api/method_policy.h"
#include "services/coderd-api/testing/api_server.h"
#include "services/coderd-api/testing/raw_call.h"

namespace coder::api {
namespace {

namespace fs = std::filesystem;

// An authority, and certificates of it, in files of their own.
class Authority {
 public:
  Authority() {
    const char* base = std::getenv("TEST_TMPDIR");
    directory_ = fs::path(base ? base : "/tmp") / "authority";
    fs::create_directories(directory_);
    Run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        "-subj /CN=authority -keyout ca.key -out ca.pem");
  }

  // `names` as openssl takes subject alternative names; empty: the common name alone.
  void Issue(const std::string& file, const std::string& common_name, const std::string& names) {
    std::ofstream(directory_ / "extensions")
        << "basicConstraints=CA:FALSE\n"
        << (names.empty() ? std::string() : absl::StrCat("subjectAltName=", names, "\n"));
    Run(absl::StrCat(
        "openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=",
        common_name, " -keyout ", file, ".key -out ", file, ".csr"));
    Run(absl::StrCat("openssl x509 -req -in ", file,
                     ".csr -CA ca.pem -CAkey ca.key "
                     "-CAcreateserial -days 2 -extfile extensions -out ",
                     file, ".pem"));
  }

  std::string Path(const std::string& file) const { return (directory_ / file).string(); }

 private:
  void Run(const std::string& command) {
    const std::string line =
        absl::StrCat("cd ", directory_.string(), " && ", command, " 2>/dev/null");
    REQUIRE(std::system(line.c_str()) == 0);
  }

  fs::path directory_;
};

const std::vector<ApiServer::Wire> kWires = {
    WireIdentity,  [](Wiring& w) { WireWorkspaces(w, WireJobs(w)); },
    WireLifecycle, WireTemplates,
    WireWatch,     WireAudit};

struct Identity {
  const char* file;
  const char* common_name;
  const char* names;
  // The service it is, or "" for none.
  const char* service;
};

// As the chart issues them, as a SPIFFE authority would, as by hand, and such as are nobody's.
const Identity kIdentities[] = {
    {"provisionerd", "provisionerd", "DNS:provisionerd", "provisionerd"},
    {"scheduler", "autostart-scheduler", "DNS:autostart-scheduler", "autostart-scheduler"},
    {"spiffe", "x", "URI:spiffe://example.org/autostart-scheduler", "autostart-scheduler"},
    {"by-hand", "provisionerd", "", "provisionerd"},
    {"relay", "pubsub-relay", "DNS:pubsub-relay", ""},
    {"api", "coderd-api", "DNS:coderd-api,DNS:localhost", ""},
    {"laptop", "laptop", "DNS:laptop.example.org", ""},
    // The name that counts is not the one it would like to have.
    {"renamed", "provisionerd", "DNS:laptop.example.org", ""},
    {"foreign-path", "x", "URI:spiffe://example.org/ns/team/sa/provisionerd", ""},
    {"two-kinds", "x", "URI:spiffe://example.org/laptop,DNS:provisionerd", ""},
};

struct Fixture {
  Fixture()
      : server(kWires, [this](Config& config) {
          authority.Issue("server", "coderd-api", "DNS:localhost");
          config.grpc.tls = {.certificate = authority.Path("server.pem"),
                             .key = authority.Path("server.key"),
                             .client_ca = authority.Path("ca.pem")};
        }) {
    const auto organization = server.AddOrganization("ours");
    const auto owner = server.AddUser("owner", {auth::SiteRole::kOwner});
    tokens[Admission::kUsers] = server.AddSession(owner);
    tokens[Admission::kProvisioners] = server.AddProvisionerKey(organization, owner);
    tokens[Admission::kServices] = server.service_token();
  }

  std::shared_ptr<grpc::Channel> ChannelOf(const std::string& file) {
    const auto channel =
        server::CreateChannel({.target = absl::StrCat("localhost:", server.wiring()->grpc.port()),
                               .plaintext = false,
                               .ca = authority.Path("ca.pem"),
                               .certificate = authority.Path(file + ".pem"),
                               .key = authority.Path(file + ".key")});
    REQUIRE(channel.ok());
    return *channel;
  }

  Authority authority;
  ApiServer server;
  std::map<Admission, std::string> tokens = {{Admission::kAnybody, ""}};
};

// A request that gets as far as the gate: AcquireJobs asks for an introduction first.
std::string RequestOf(const std::string& method) {
  return absl::StrContains(method, "AcquireJobs")
             ? "hello { name: 'd' provisioners: 'echo' slots: 1 }"
             : "";
}

// How a refusal for the certificate reads; "" for any other answer.
std::string Refusal(const grpc::Status& status) {
  const absl::Status read = server::StatusFromGrpc(status);
  const auto reason = status::ReasonOf(read);
  if (!reason || reason->reason != "SERVICE_IDENTITY_FORBIDDEN") return "";
  CHECK(absl::IsPermissionDenied(read));
  return std::string(read.message());
}

TEST_CASE("an internal RPC is for the service whose certificate is presented, whatever the token") {
  Fixture f;
  int refused = 0;
  int passed = 0;
  for (const Identity& identity : kIdentities) {
    f.authority.Issue(identity.file, identity.common_name, identity.names);
    const auto channel = f.ChannelOf(identity.file);
    for (const MethodRule* rule : AllMethodRules()) {
      if (rule->service.empty()) continue;
      const std::string method(rule->method);
      INFO(identity.file << " calls " << method);
      const RawAnswer answer =
          RawCall(channel, method, RequestOf(method), f.tokens[rule->admission]);
      INFO(answer.status.error_message());
      CHECK(answer.status.error_code() != grpc::StatusCode::UNAVAILABLE);
      CHECK(answer.status.error_code() != grpc::StatusCode::UNAUTHENTICATED);
      const std::string refusal = Refusal(answer.status);
      if (rule->service == identity.service) {
        CHECK(refusal.empty());
        ++passed;
      } else {
        CHECK(absl::StrContains(refusal, method));
        CHECK(absl::StrContains(refusal, std::string(rule->service)));
        ++refused;
      }
    }
  }
  // 9 of the provisioner's and 2 of the scheduler's, each by ten identities.
  CHECK(passed == 2 * 9 + 2 * 2);
  CHECK(refused == 10 * 11 - passed);
}

TEST_CASE("a refusal names the certificate, comes before the token is looked at, and is recorded") {
  Fixture f;
  f.authority.Issue("laptop", "laptop", "DNS:laptop.example.org");
  const RawAnswer answer =
      RawCall(f.ChannelOf("laptop"), "/coder.lifecycle.v1.LifecycleService/ApplyLifecycleActions",
              "", "cst_no_token_at_all");
  CHECK(Refusal(answer.status) ==
        "call /coder.lifecycle.v1.LifecycleService/ApplyLifecycleActions: the client certificate "
        "is 'laptop.example.org', and it is for 'autostart-scheduler'; present that service's "
        "certificate");
  const auto rows = f.server.Run(
      "SELECT outcome, reason, details ->> 'certificate' AS certificate FROM audit_logs");
  REQUIRE(rows.rows() == 1);
  CHECK(rows.Get<std::string>(0, 0) == "denied");
  CHECK(rows.Get<std::string>(0, 1) == "SERVICE_IDENTITY_FORBIDDEN");
  CHECK(rows.Get<std::string>(0, 2) == "laptop.example.org");
}

TEST_CASE("public RPCs are for every certificate of the authority, and need their token") {
  Fixture f;
  for (const char* file : {"laptop", "provisionerd"}) {
    f.authority.Issue(file, file, absl::StrCat("DNS:", file));
    const auto channel = f.ChannelOf(file);
    const std::string method = "/coder.api.v1.AuthService/WhoAmI";
    CHECK(RawCall(channel, method, "", f.tokens[Admission::kUsers]).status.ok());
    CHECK(RawCall(channel, method, "", "").status.error_code() ==
          grpc::StatusCode::UNAUTHENTICATED);
  }
}

TEST_CASE("the right certificate does not replace the right token") {
  Fixture f;
  f.authority.Issue("scheduler", "autostart-scheduler", "DNS:autostart-scheduler");
  const RawAnswer answer = RawCall(f.ChannelOf("scheduler"),
                                   "/coder.lifecycle.v1.LifecycleService/ApplyLifecycleActions", "",
                                   f.tokens[Admission::kProvisioners]);
  CHECK(answer.status.error_code() == grpc::StatusCode::PERMISSION_DENIED);
  CHECK(Refusal(answer.status).empty());
}

TEST_CASE("without mutual TLS tokens alone decide") {
  ApiServer server(kWires);
  const std::string method = "/coder.lifecycle.v1.LifecycleService/ApplyLifecycleActions";
  // Past the gate the handler misses the tick.
  CHECK(RawCall(server.channel(), method, "", server.service_token()).status.error_code() ==
        grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(RawCall(server.channel(), method, "", "").status.error_code() ==
        grpc::StatusCode::UNAUTHENTICATED);
}

}  // namespace
}  // namespace coder::api
