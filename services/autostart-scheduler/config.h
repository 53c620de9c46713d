#pragma once

#include "libs/server/admin_server.h"
#include "libs/server/common_options.h"
#include "libs/server/grpc_options.h"
#include "libs/server/options.h"
#include "libs/server/secret.h"

namespace coder::scheduler {

/// What an operator may set; the values here are the defaults.
struct Config {
  server::CommonOptions common;
  server::AdminOptions admin;
  server::GrpcServerOptions grpc;
  server::GrpcChannelOptions api;
  /// `cst_...`, the same that coderd-api was given.
  server::Secret service_token;
  /// Ticks once and ends.
  bool once = false;
};

/// Registers every option with its default, help and examples.
void RegisterOptions(server::OptionSet& options, Config& config);

}  // namespace coder::scheduler
