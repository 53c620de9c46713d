#include "services/provisionerd/app.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/server/channelz_page.h"
#include "libs/server/grpc_channel.h"
#include "libs/server/version.h"
#include "libs/status/status_macros.h"

namespace coder::provisionerd {
namespace {

constexpr char kHealthName[] = "provisionerd";

std::string HostName() {
  char name[256] = {};
  gethostname(name, sizeof(name) - 1);
  return name;
}

absl::StatusOr<std::string> FindEngine(const std::string& configured) {
  if (!configured.empty()) return configured;
  const char* path = std::getenv("PATH");
  for (const char* program : {"tofu", "terraform"}) {
    for (const std::string& folder :
         std::vector<std::string>(absl::StrSplit(path ? path : "", ':'))) {
      const std::string candidate = absl::StrCat(folder, "/", program);
      if (access(candidate.c_str(), X_OK) == 0) return candidate;
    }
  }
  return absl::NotFoundError(
      "find an engine: neither tofu nor terraform is on PATH; install OpenTofu or set "
      "--engine-path");
}

absl::Status MakePrivateDirectory(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (!error) {
    std::filesystem::permissions(path, std::filesystem::perms::owner_all, error);
  }
  if (!error) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("make work-dir ", path, ": ", error.message(),
                                          "; choose another with --work-dir"));
}

nlohmann::ordered_json JobsPage(const JobLoopView& view) {
  nlohmann::ordered_json running = nlohmann::ordered_json::array();
  for (const JobLoopView::Running& job : view.running) {
    running.push_back({{"job_id", job.job_id},
                       {"provisioner", job.provisioner},
                       {"work", job.work},
                       {"phase", job.phase},
                       {"age_seconds", absl::ToDoubleSeconds(job.age)}});
  }
  return {{"slots", view.slots},
          {"waiting", view.waiting},
          {"draining", view.draining},
          {"connected", view.connection.ok()},
          {"trouble", std::string(view.connection.message())},
          {"running", running}};
}

}  // namespace

App::App(const Config& config, clock::Clock& clock)
    : clock_(clock),
      metrics_(server::Version(), server::Revision(), server::Compiler()),
      program_(config.common.program, clock),
      echo_(clock) {}

absl::StatusOr<std::unique_ptr<App>> App::Create(const Config& config,
                                                 const server::CommandLine& line,
                                                 clock::Clock& clock) {
  auto app = std::unique_ptr<App>(new App(config, clock));
  RETURN_IF_ERROR(MakePrivateDirectory(config.work_dir));
  RETURN_IF_ERROR(app->AddEngines(config));
  RETURN_IF_ERROR(app->ConnectJobs(config));
  RETURN_IF_ERROR(app->AddListeners(config, line));
  app->program_.Add(*app->admin_);
  app->program_.Add(*app->grpc_);
  app->program_.Add(*app->jobs_);
  app->program_.Add(*app->listener_check_);
  return app;
}

absl::Status App::AddEngines(const Config& config) {
  for (const std::string& provisioner : config.provisioners) {
    if (provisioner == "echo") {
      environment_.engines["echo"] = &echo_;
      continue;
    }
    TerraformConfig engine;
    ASSIGN_OR_RETURN(engine.engine_path, FindEngine(config.engine_path));
    engine.cli_config_path = config.engine_config;
    engine.grace = config.engine_grace;
    RETURN_IF_ERROR(MakeInitCache(config));
    ASSIGN_OR_RETURN(terraform_,
                     TerraformEngine::Create(std::move(engine), clock_, init_cache_.get()));
    environment_.engines["terraform"] = terraform_.get();
  }
  return absl::OkStatus();
}

absl::Status App::MakeInitCache(const Config& config) {
  if (config.init_cache_entries == 0) return absl::OkStatus();
  InitCacheOptions options;
  options.directory = config.init_cache_dir.empty() ? absl::StrCat(config.work_dir, "/init-cache")
                                                    : config.init_cache_dir;
  options.max_entries = config.init_cache_entries;
  options.max_bytes = config.init_cache_bytes;
  ASSIGN_OR_RETURN(init_cache_, InitCache::Create(std::move(options), metrics_.registry()));
  return absl::OkStatus();
}

absl::Status App::ConnectJobs(const Config& config) {
  server::GrpcChannelOptions options = config.api;
  options.user_agent = absl::StrCat("provisionerd/", std::string(server::Version()));
  ASSIGN_OR_RETURN(std::shared_ptr<grpc::Channel> channel, server::CreateChannel(options));
  client_ = std::make_unique<GrpcJobClient>(channel, config.key);
  environment_.client = client_.get();
  environment_.clock = &clock_;
  environment_.work_root = config.work_dir;
  DaemonIdentity identity;
  identity.name = config.name.empty() ? HostName() : config.name;
  identity.version = std::string(server::Version());
  identity.provisioners = config.provisioners;
  identity.slots = config.slots;
  jobs_ = std::make_unique<JobLoop>(channel, config.key, std::move(identity), environment_, clock_,
                                    metrics_.registry());
  return absl::OkStatus();
}

absl::Status App::AddListeners(const Config& config, const server::CommandLine& line) {
  admin_ = std::make_unique<server::AdminServer>(config.admin, metrics_);
  admin_->SetConfig(line.values);
  admin_->AddDebugPage("jobs", "slots, running jobs and the way to coderd-api",
                       [this] { return JobsPage(jobs_->View()); });
  server::AddChannelzPage(*admin_);
  admin_->AddReadinessCheck("coderd-api", [this] { return jobs_->Connected(); });
  grpc_ = std::make_unique<server::GrpcServer>(config.grpc, clock_, metrics_.registry());
  grpc_->SetServing(kHealthName, true);
  grpc_->OnDrain([this] { admin_->SetDraining(); });
  listener_check_ = std::make_unique<server::ListenerCheck>(
      server::ListenerCheckOptions{}, config.grpc, [this] { return grpc_->port(); },
      [this](const absl::Status& error) { program_.Fail(error); }, clock_, metrics_.registry());
  return absl::OkStatus();
}

int App::Run() { return program_.Run(); }

}  // namespace coder::provisionerd
