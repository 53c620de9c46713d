#include "libs/server/common_options.h"

#include "libs/server/log.h"

namespace coder::server {

void RegisterCommonOptions(OptionSet& set, CommonOptions& options) {
  set.Group("Process");
  set.Choice("log-format", &options.log_format, {"auto", "json", "text"},
             "form of log lines; auto is text on a terminal, else JSON");
  set.Choice("log-level", &options.log_level, {"debug", "info", "warn", "error"},
             "least level that is written; /log-level changes it at run time");
  set.Duration("drain-timeout", &options.program.drain_timeout, absl::Seconds(1),
               "for work in hand after the first SIGTERM; keep the supervisor's own grace at "
               "least 5 s above it");
}

void ConfigureLog(const std::string& service, const CommonOptions& options) {
  log::Configure(service, log::ParseFormat(options.log_format).value_or(log::Format::kAuto),
                 log::ParseLevel(options.log_level).value_or(log::Level::kInfo));
}

}  // namespace coder::server
