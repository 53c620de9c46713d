#include "services/coderd-api/method_policy.h"

#include <google/protobuf/descriptor.h>

#include <catch2/catch.hpp>
#include <set>
#include <string>

#include "coder/api/v1/audit.pb.h"
#include "coder/api/v1/auth.pb.h"
#include "coder/api/v1/build.pb.h"
#include "coder/api/v1/deployment.pb.h"
#include "coder/api/v1/organization.pb.h"
#include "coder/api/v1/provisioner.pb.h"
#include "coder/api/v1/schedule.pb.h"
#include "coder/api/v1/template.pb.h"
#include "coder/api/v1/user.pb.h"
#include "coder/api/v1/watch.pb.h"
#include "coder/api/v1/workspace.pb.h"
#include "coder/lifecycle/v1/lifecycle.pb.h"
#include "coder/provisioner/v1/provisioner.pb.h"

namespace coder::api {
namespace {

std::set<std::string> EveryMethod() {
  std::set<std::string> methods;
  for (const google::protobuf::FileDescriptor* file :
       {v1::LoginRequest::descriptor()->file(), v1::AuditLog::descriptor()->file(),
        v1::WorkspaceBuild::descriptor()->file(), v1::Experiment::descriptor()->file(),
        v1::Organization::descriptor()->file(), v1::ProvisionerKey::descriptor()->file(),
        v1::TemplateVersion::descriptor()->file(), v1::User::descriptor()->file(),
        v1::GetBuildStreamStatusRequest::descriptor()->file(), v1::Workspace::descriptor()->file(),
        v1::Blackout::descriptor()->file(),
        lifecycle::v1::ApplyLifecycleActionsRequest::descriptor()->file(),
        provisioner::v1::HeartbeatRequest::descriptor()->file()}) {
    for (int s = 0; s < file->service_count(); ++s) {
      for (int m = 0; m < file->service(s)->method_count(); ++m) {
        methods.insert("/" + file->service(s)->full_name() + "/" +
                       file->service(s)->method(m)->name());
      }
    }
  }
  return methods;
}

TEST_CASE("every RPC of every service has exactly one rule, and every rule an RPC") {
  const std::set<std::string> methods = EveryMethod();
  CHECK(methods.size() > 60);
  std::set<std::string> ruled;
  for (const MethodRule* rule : AllMethodRules()) {
    CHECK(ruled.insert(std::string(rule->method)).second);
  }
  CHECK(ruled == methods);
}

// The request's field at a path such as "workspace.id", or null.
const google::protobuf::FieldDescriptor* FieldAt(const google::protobuf::Descriptor* message,
                                                 const std::string& path) {
  const size_t dot = path.find('.');
  const auto* field = message->FindFieldByName(path.substr(0, dot));
  if (field == nullptr || dot == std::string::npos) return field;
  return field->message_type() == nullptr ? nullptr
                                          : FieldAt(field->message_type(), path.substr(dot + 1));
}

TEST_CASE("every RPC is known to read, to keep something going or to write") {
  for (const MethodRule* rule : AllMethodRules()) {
    INFO(std::string(rule->method));
    CHECK(rule->audit.kind != AuditRule::Kind::kUnclassified);
    CHECK((rule->audit.kind == AuditRule::Kind::kWrite) == !rule->audit.resource.empty());
    // Names tell reads by their first word.
    const std::string name(rule->method.substr(rule->method.rfind('/') + 1));
    bool reads = name == "WhoAmI";
    for (const char* verb : {"Get", "List", "Watch", "Stream", "Download", "Explain", "Preview"}) {
      reads = reads || name.rfind(verb, 0) == 0;
    }
    CHECK((rule->audit.kind == AuditRule::Kind::kRead) == reads);
    // Whatever changes rights changes something.
    if (rule->effect == Effect::kRights) CHECK(rule->audit.kind == AuditRule::Kind::kWrite);
  }
}

TEST_CASE("what a record takes from a request is a text of it, and no secret") {
  for (const MethodRule* rule : AllMethodRules()) {
    const std::string method(rule->method);
    const auto* service = google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(
        method.substr(1, method.rfind('/') - 1));
    REQUIRE(service != nullptr);
    const auto* request =
        service->FindMethodByName(method.substr(method.rfind('/') + 1))->input_type();
    for (const absl::string_view path : {rule->audit.id_field, rule->audit.name_field}) {
      if (path.empty()) continue;
      INFO(method << " " << std::string(path));
      const auto* field = FieldAt(request, std::string(path));
      REQUIRE(field != nullptr);
      CHECK(field->type() == google::protobuf::FieldDescriptor::TYPE_STRING);
      CHECK_FALSE(field->is_repeated());
      for (const char* word : {"password", "token", "secret", "value"}) {
        CHECK(field->name().find(word) == std::string::npos);
      }
    }
  }
}

TEST_CASE("a method without a rule has none") {
  CHECK(FindMethodRule("/coder.api.v1.AuthService/Nothing") == nullptr);
  CHECK(FindMethodRule("") == nullptr);
}

TEST_CASE("only what the protocol says needs no authentication is open to anybody") {
  std::set<std::string> open;
  for (const MethodRule* rule : AllMethodRules()) {
    if (rule->admission == Admission::kAnybody) open.insert(std::string(rule->method));
  }
  CHECK(open == std::set<std::string>{"/coder.api.v1.AuthService/GetFirstUser",
                                      "/coder.api.v1.AuthService/CreateFirstUser",
                                      "/coder.api.v1.AuthService/Login",
                                      "/coder.api.v1.DeploymentService/GetDeploymentInfo"});
}

TEST_CASE("every internal RPC is for one service's certificate, and no public one is") {
  for (const MethodRule* rule : AllMethodRules()) {
    INFO(std::string(rule->method));
    switch (rule->admission) {
      case Admission::kProvisioners:
        CHECK(rule->service == "provisionerd");
        break;
      case Admission::kServices:
        CHECK(rule->service == "autostart-scheduler");
        break;
      case Admission::kUsers:
      case Admission::kAnybody:
        CHECK(rule->service.empty());
        break;
    }
  }
}

TEST_CASE("services of other trust are reached with their own kind of token only") {
  for (const MethodRule* rule : AllMethodRules()) {
    INFO(std::string(rule->method));
    const std::string method(rule->method);
    if (method.find("coder.provisioner.v1") != std::string::npos) {
      CHECK(rule->admission == Admission::kProvisioners);
    } else if (method.find("coder.lifecycle.v1") != std::string::npos) {
      CHECK(rule->admission == Admission::kServices);
    } else {
      CHECK((rule->admission == Admission::kUsers || rule->admission == Admission::kAnybody));
    }
  }
}

}  // namespace
}  // namespace coder::api
