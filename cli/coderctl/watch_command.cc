#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cli/coderctl/command_line.h"
#include "cli/coderctl/event_printer.h"
#include "cli/coderctl/interrupts.h"
#include "cli/coderctl/lookup.h"
#include "cli/coderctl/stream_ending.h"
#include "coder/api/v1/watch.grpc.pb.h"
#include "libs/clock/system_clock.h"
#include "libs/status/status_macros.h"

namespace coder::cli {
namespace {

using api::v1::WatchAllWorkspaceBuildsRequest;
using api::v1::WatchAllWorkspaceBuildsResponse;
using api::v1::WatchService;

struct WatchOptions {
  std::vector<std::string> organizations, owners, templates, workspaces;
  std::vector<std::string> transitions, statuses, reasons;
  std::string from;
  std::string until;
  std::string token_file;
  bool snapshot = false;
  int64_t count = 0;
};

template <typename Enum>
absl::Status AddEnum(const std::vector<std::string>& words, const std::string& prefix,
                     bool (*parse)(absl::string_view, Enum*),
                     const std::function<void(Enum)>& add) {
  for (const std::string& word : words) {
    Enum value;
    if (!parse(absl::StrCat(prefix, absl::AsciiStrToUpper(word)), &value)) {
      return absl::InvalidArgumentError(absl::StrCat("filter by '", word, "': no such ",
                                                     absl::AsciiStrToLower(prefix), " value"));
    }
    add(value);
  }
  return absl::OkStatus();
}

bool ParseTransition(absl::string_view name, events::v1::BuildTransition* value) {
  return events::v1::BuildTransition_Parse(std::string(name), value);
}
bool ParseStatus(absl::string_view name, events::v1::JobStatus* value) {
  return events::v1::JobStatus_Parse(std::string(name), value);
}
bool ParseReason(absl::string_view name, events::v1::BuildReason* value) {
  return events::v1::BuildReason_Parse(std::string(name), value);
}

absl::Status FillFilter(const Session& session, const WatchOptions& options,
                        api::v1::BuildEventFilter& filter) {
  for (const std::string& name : options.organizations) {
    ASSIGN_OR_RETURN(api::v1::Organization organization, FindOrganization(session, name));
    filter.add_organization_ids(organization.id());
  }
  for (const std::string& id : options.owners) filter.add_owner_ids(id);
  for (const std::string& name : options.templates) {
    ASSIGN_OR_RETURN(api::v1::Template found, FindTemplate(session, name, ""));
    filter.add_template_ids(found.id());
  }
  for (const std::string& name : options.workspaces) {
    ASSIGN_OR_RETURN(api::v1::Workspace workspace, FindWorkspace(session, name));
    filter.add_workspace_ids(workspace.id());
  }
  RETURN_IF_ERROR(AddEnum<events::v1::BuildTransition>(
      options.transitions, "BUILD_TRANSITION_", ParseTransition,
      [&](events::v1::BuildTransition value) { filter.add_transitions(value); }));
  RETURN_IF_ERROR(AddEnum<events::v1::JobStatus>(
      options.statuses, "JOB_STATUS_", ParseStatus,
      [&](events::v1::JobStatus value) { filter.add_job_statuses(value); }));
  return AddEnum<events::v1::BuildReason>(
      options.reasons, "BUILD_REASON_", ParseReason,
      [&](events::v1::BuildReason value) { filter.add_reasons(value); });
}

/// `--from` is a time if it reads as one, else a token.
void SetStart(const std::string& from, WatchAllWorkspaceBuildsRequest& request) {
  absl::Time time;
  std::string error;
  if (absl::ParseTime(absl::RFC3339_full, from, &time, &error)) {
    request.mutable_start_time()->set_seconds(absl::ToUnixSeconds(time));
  } else {
    request.set_resume_token(from);
  }
}

absl::StatusOr<int64_t> Head(const Session& session) {
  ASSIGN_OR_RETURN(const auto status,
                   Call<WatchService>(session, &WatchService::Stub::GetBuildStreamStatus,
                                      api::v1::GetBuildStreamStatusRequest()));
  return status.head();
}

/// Prints a response and keeps its token; whether the watch is done.
absl::StatusOr<bool> Take(const Session& session, const WatchAllWorkspaceBuildsResponse& response,
                          const TokenFile& token_file, EventPrinter& printer) {
  if (printer.WantsHead(clock::SystemClock().Now())) {
    ASSIGN_OR_RETURN(const int64_t head, Head(session));
    printer.EndAt(head);
  }
  ASSIGN_OR_RETURN(const bool done, printer.Print(response));
  RETURN_IF_ERROR(token_file.Save(printer.token()));
  return done;
}

/// Reads one stream to its end; OK when the printer has seen enough or the user interrupted.
absl::Status ReadStream(const Session& session, const WatchAllWorkspaceBuildsRequest& request,
                        const TokenFile& token_file, EventPrinter& printer, Interrupts& interrupts,
                        bool& done) {
  const auto stub = WatchService::NewStub(session.channel());
  grpc::ClientContext context;
  session.PrepareStream(context);
  std::jthread canceler([&](std::stop_token stop) {
    clock::SystemClock clock;
    while (clock.Wait(absl::Milliseconds(100), stop)) {
      if (!interrupts.Pending()) continue;
      done = true;
      context.TryCancel();
      return;
    }
  });
  const auto reader = stub->WatchAllWorkspaceBuilds(&context, request);
  WatchAllWorkspaceBuildsResponse response;
  absl::StatusOr<bool> enough = false;
  while (enough.ok() && !*enough && reader->Read(&response)) {
    enough = Take(session, response, token_file, printer);
  }
  if (!enough.ok() || *enough) context.TryCancel();
  const grpc::Status status = reader->Finish();
  canceler.request_stop();
  RETURN_IF_ERROR(enough.status());
  if (*enough) done = true;
  return done || status.ok() ? absl::OkStatus() : server::StatusFromGrpc(status);
}

absl::Status Watch(const CommandLine& line, const WatchOptions& options) {
  ASSIGN_OR_RETURN(WatchBound bound, ParseUntil(options.until));
  bound.count = options.count;
  const TokenFile token_file(options.token_file);
  ASSIGN_OR_RETURN(const std::string token, token_file.Load());
  Interrupts interrupts;
  ASSIGN_OR_RETURN(Session session, line.Connect());
  WatchAllWorkspaceBuildsRequest request;
  RETURN_IF_ERROR(FillFilter(session, options, *request.mutable_filter()));
  if (!token.empty()) {
    request.set_resume_token(token);
  } else {
    if (!options.from.empty()) SetStart(options.from, request);
    request.set_snapshot(options.snapshot);
  }
  if (bound.at_head) {
    ASSIGN_OR_RETURN(bound.position, Head(session));
  }
  if (!options.until.empty()) request.mutable_bookmark_interval()->set_seconds(1);
  EventPrinter printer(line.output, bound, std::cout);
  clock::SystemClock clock;
  absl::Duration pause = absl::Milliseconds(100);
  bool done = false;
  absl::Status status;
  while (!done) {
    const std::string before = printer.token();
    status = ReadStream(session, request, token_file, printer, interrupts, done);
    if (!printer.token().empty()) {
      request.set_resume_token(printer.token());
      request.set_snapshot(false);
      request.clear_start_time();
    }
    if (done || !IsResumable(status)) break;
    pause =
        printer.token() == before ? std::min(pause * 2, absl::Seconds(5)) : absl::Milliseconds(100);
    std::cerr << "stream ended (" << status.message() << "); resuming\n";
    clock.Wait(pause, std::stop_token());
    done = interrupts.Pending();
  }
  if (!printer.token().empty()) std::cerr << "resume with: --from " << printer.token() << "\n";
  return done ? absl::OkStatus() : status;
}

}  // namespace

void AddWatchCommand(CLI::App& root, CommandLine& line) {
  auto options = std::make_shared<WatchOptions>();
  CLI::App* watch =
      AddCommand(root, line, "watch", "Every build event of the deployment, as it happens",
                 [&line, options] { return Watch(line, *options); });
  watch->footer(
      "\nA dropped stream is resumed where it was. With -o json each event is one line.\n"
      "Examples:\n"
      "  coderctl watch --status failed\n"
      "  coderctl watch --snapshot -o json\n"
      "  coderctl watch --from 2026-03-01T08:00:00Z --until 2026-03-01T09:00:00Z\n"
      "\n"
      "A consumer in a few lines of shell: each round takes what has come since the last one, and\n"
      "the token moves on only once it was handled, so that nothing is lost when handling fails:\n"
      "  while sleep 1; do\n"
      "    cp -f events.token next.token 2>/dev/null\n"
      "    coderctl watch --token-file next.token --until now -o json > events.json || continue\n"
      "    ./handle < events.json && mv next.token events.token\n"
      "  done\n"
      "\n"
      "Exit status: 0 once --until or --count is reached or at an interrupt; else that of the "
      "error:\n"
      "2 for a token that is not one, 5 after a restore of the database, 1 for one that is too "
      "old;\n"
      "for the last two begin anew with --snapshot.");
  watch->add_option("--org", options->organizations, "Only of these organizations");
  watch->add_option("--owner-id", options->owners, "Only of these owners");
  watch->add_option("-t,--template", options->templates, "Only of these templates");
  watch->add_option("-w,--workspace", options->workspaces, "Only of these workspaces");
  watch->add_option("--transition", options->transitions, "start, stop, delete");
  watch->add_option("--status", options->statuses,
                    "pending, running, succeeded, canceling, canceled, failed");
  watch->add_option("--reason", options->reasons, "initiator, autostart, autostop, cli, ...");
  watch->add_option("--from", options->from,
                    "A resume token, or a time as far as the log reaches back");
  watch->add_option("--until", options->until,
                    "End there: now (what is in the log already), a time, a position or a token");
  watch->add_option(
      "--token-file", options->token_file,
      "Keep the resume token in this file after each batch, and go on from it; --from "
      "and --snapshot then count for the first run only");
  watch->add_flag("--snapshot", options->snapshot, "First the current state of every workspace");
  watch->add_option("--count", options->count, "End after that many events");
}

}  // namespace coder::cli
