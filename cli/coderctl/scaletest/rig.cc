#include "cli/coderctl/scaletest/rig.h"

#include <iostream>
#include <utility>

#include "cli/coderctl/lookup.h"
#include "libs/status/status_macros.h"

namespace coder::cli::scaletest {

Stops::Stops()
    : thread_([this](const std::stop_token& stop) {
        while (clock_.Wait(absl::Milliseconds(100), stop)) {
          if (!interrupts_.Pending()) continue;
          if (test_.request_stop()) {
            std::cerr << "\ninterrupted: cleaning up; once more leaves the rest to "
                         "`coderctl scaletest cleanup`\n";
          } else {
            cleanup_.request_stop();
          }
        }
      }) {}

Rig::Rig(std::unique_ptr<Stops> stops, Session session, const LoadOptions& options)
    : options(options),
      run(RandomText(6)),
      stops(std::move(stops)),
      session(std::move(session)),
      api(this->session, clock),
      progress(clock) {}

absl::StatusOr<std::unique_ptr<Rig>> Rig::Open(const SessionOptions& session_options,
                                               const LoadOptions& options) {
  auto stops = std::make_unique<Stops>();
  ASSIGN_OR_RETURN(Credentials credentials, ResolveCredentials(session_options));
  ASSIGN_OR_RETURN(Session session, Session::Open(std::move(credentials), session_options.timeout));
  std::unique_ptr<Rig> rig(new Rig(std::move(stops), std::move(session), options));
  if (!options.template_name.empty()) {
    ASSIGN_OR_RETURN(rig->workspace_template,
                     FindTemplate(rig->session, options.template_name, options.organization));
  }
  ASSIGN_OR_RETURN(rig->stream,
                   BuildStream::Open(rig->session, rig->clock, rig->workspace_template.id(),
                                     rig->stops->test()));
  return rig;
}

}  // namespace coder::cli::scaletest
