#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "libs/server/admin_server.h"
#include "libs/server/common_options.h"
#include "libs/server/grpc_options.h"
#include "libs/server/options.h"
#include "libs/server/secret.h"

namespace coder::provisionerd {

/// What an operator may set; the values here are the defaults.
struct Config {
  server::CommonOptions common;
  server::AdminOptions admin;
  server::GrpcServerOptions grpc;
  server::GrpcChannelOptions api;
  /// `cpk_...`, as `coderctl provisioners keys create` shows it.
  server::Secret key;
  /// Unique among the daemons of the key; empty: the host's name.
  std::string name;
  /// 1-256.
  int slots = 2;
  std::vector<std::string> provisioners = {"terraform"};
  /// OpenTofu or Terraform; empty: `tofu`, then `terraform`, from PATH.
  std::string engine_path;
  /// A CLI configuration for the engine, such as a provider mirror; empty: none.
  std::string engine_config;
  /// Private to this daemon; at most 40 bytes, because providers put sockets below it.
  std::string work_dir = "/tmp/provisionerd";
  /// This daemon's own, below `work_dir` when empty; deleted and made anew at each start.
  std::string init_cache_dir;
  /// Template versions whose initialised directory is kept, 0-1000; 0: none.
  int init_cache_entries = 32;
  /// Most bytes of them together.
  int64_t init_cache_bytes = int64_t{2} << 30;
  /// From an interrupt to the kill of an engine.
  absl::Duration engine_grace = absl::Minutes(3);
};

/// Registers every option with its default, help and examples.
void RegisterOptions(server::OptionSet& options, Config& config);

}  // namespace coder::provisionerd
