#include "services/coderd-api/method_policy.h"

#include <google/protobuf/descriptor.h>

#include <catch2/catch.hpp>
#include <set>
#include <string>

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
       {v1::LoginRequest::descriptor()->file(), v1::WorkspaceBuild::descriptor()->file(),
        v1::Experiment::descriptor()->file(), v1::Organization::descriptor()->file(),
        v1::ProvisionerKey::descriptor()->file(), v1::TemplateVersion::descriptor()->file(),
        v1::User::descriptor()->file(), v1::GetBuildStreamStatusRequest::descriptor()->file(),
        v1::Workspace::descriptor()->file(), v1::Blackout::descriptor()->file(),
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
