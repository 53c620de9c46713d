#pragma once

#include <string>

#include "libs/server/options.h"
#include "libs/server/program.h"

namespace coder::server {

// What every program has beside its own options.
struct CommonOptions {
  std::string log_format = "auto";
  std::string log_level = "info";
  ProgramOptions program;
};

// Registers log-format, log-level and drain-timeout, with the values in `options` as defaults.
void RegisterCommonOptions(OptionSet& set, CommonOptions& options);

// Configures the process's log; `options` must have been loaded, so that its words are right.
void ConfigureLog(const std::string& service, const CommonOptions& options);

}  // namespace coder::server
