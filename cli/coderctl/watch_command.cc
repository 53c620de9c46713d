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

/// Prints what comes and remembers where to go on.
class EventPrinter {
 public:
  EventPrinter(OutputFormat output, int64_t count, absl::Time until)
      : output_(output), count_(count), until_(until) {}

  /// Whether enough has been seen.
  bool Print(const WatchAllWorkspaceBuildsResponse& response) {
    for (const auto& item : response.snapshot_items()) PrintEvent("snapshot", item);
    for (const auto& watched : response.events()) {
      if (IsPast(watched.event())) return true;
      if (output_ == OutputFormat::kJson) {
        std::cout << ToJson(watched, /*compact=*/true) << "\n";
      } else {
        PrintEvent(std::to_string(watched.position()), watched.event());
      }
      ++seen_;
    }
    std::cout << std::flush;
    if (!response.resume_token().empty()) token_ = response.resume_token();
    return (count_ > 0 && seen_ >= count_) || clock::SystemClock().Now() >= until_;
  }

  const std::string& token() const { return token_; }

 private:
  bool IsPast(const events::v1::BuildEvent& event) const {
    return absl::FromUnixSeconds(event.event_time().seconds()) >= until_;
  }

  void PrintEvent(const std::string& position, const events::v1::BuildEvent& event) const {
    if (output_ == OutputFormat::kJson) {
      std::cout << "{\"snapshot\":" << ToJson(event, /*compact=*/true) << "}\n";
      return;
    }
    std::cout << absl::StrCat(
                     position, "  ", FormatTime(event.event_time(), event.has_event_time()), "  ",
                     Printable(event.owner_name()), "/", Printable(event.workspace_name()), " #",
                     event.build_number(), "  ", TransitionName(event.transition()), "  ",
                     JobStatusName(event.job_status()), "  ", ReasonName(event.reason()))
              << (event.error().empty() ? "" : "  " + Printable(event.error())) << "\n";
  }

  OutputFormat output_;
  int64_t count_;
  absl::Time until_;
  int64_t seen_ = 0;
  std::string token_;
};

/// Reads one stream to its end; OK when the printer has seen enough or the user interrupted.
absl::Status ReadStream(const Session& session, const WatchAllWorkspaceBuildsRequest& request,
                        EventPrinter& printer, Interrupts& interrupts, bool& done) {
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
  while (reader->Read(&response)) {
    if (printer.Print(response)) {
      done = true;
      context.TryCancel();
      break;
    }
  }
  const grpc::Status status = reader->Finish();
  canceler.request_stop();
  return done || status.ok() ? absl::OkStatus() : server::StatusFromGrpc(status);
}

absl::Status Watch(const CommandLine& line, const WatchOptions& options) {
  absl::Time until = absl::InfiniteFuture();
  std::string error;
  if (!options.until.empty() &&
      !absl::ParseTime(absl::RFC3339_full, options.until, &until, &error)) {
    return absl::InvalidArgumentError(absl::StrCat("read --until '", options.until, "': ", error,
                                                   "; for example 2026-03-01T09:00:00Z"));
  }
  Interrupts interrupts;
  ASSIGN_OR_RETURN(Session session, line.Connect());
  WatchAllWorkspaceBuildsRequest request;
  RETURN_IF_ERROR(FillFilter(session, options, *request.mutable_filter()));
  if (!options.from.empty()) SetStart(options.from, request);
  request.set_snapshot(options.snapshot);
  if (!options.until.empty()) request.mutable_bookmark_interval()->set_seconds(1);
  EventPrinter printer(line.output, options.count, until);
  clock::SystemClock clock;
  absl::Duration pause = absl::Milliseconds(100);
  bool done = false;
  absl::Status status;
  while (!done) {
    const std::string before = printer.token();
    status = ReadStream(session, request, printer, interrupts, done);
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
      "  coderctl watch --from 2026-03-01T08:00:00Z --until 2026-03-01T09:00:00Z");
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
  watch->add_option("--until", options->until, "End at this time");
  watch->add_flag("--snapshot", options->snapshot, "First the current state of every workspace");
  watch->add_option("--count", options->count, "End after that many events");
}

}  // namespace coder::cli
