#include "cli/coderctl/event_printer.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "cli/coderctl/lookup.h"
#include "libs/events/proto_time.h"
#include "libs/events/resume_token.h"

namespace coder::cli {
namespace {

using api::v1::WatchAllWorkspaceBuildsResponse;
using api::v1::WatchedBuildEvent;

// Events take their place in the log within seconds of their time, not in its exact order.
constexpr absl::Duration kDisorder = absl::Minutes(1);

// The token that resumes after `event`, of the epoch of `response_token`.
std::string TokenAfter(const WatchedBuildEvent& watched, const std::string& response_token) {
  const auto token = events::DecodeResumeToken(response_token);
  if (!token.ok()) return "";
  const events::EventSlice slice = {
      .readable = true,
      .keys = {.workspace_id = watched.event().workspace_id(),
               .workspace_version = watched.event().workspace_version()}};
  return events::EncodeResumeToken({.epoch = token->epoch,
                                    .position = watched.position(),
                                    .event_hash = events::EventHash(slice)});
}

// An event that cannot be read took place at no known time.
absl::Time TimeOf(const WatchedBuildEvent& watched) {
  return watched.has_event() ? events::FromProto(watched.event().event_time())
                             : absl::InfinitePast();
}

// What an event says besides the state of its build.
std::string Notice(const events::v1::BuildEvent& event) {
  if (event.kind() != events::v1::BUILD_EVENT_KIND_AUTOSTOP_REMINDER) return "";
  return absl::StrCat("  stops at ", FormatTime(event.deadline(), event.has_deadline()));
}

int64_t PositionOf(const std::string& token) {
  const auto decoded = events::DecodeResumeToken(token);
  return decoded.ok() ? decoded->position : 0;
}

}  // namespace

absl::StatusOr<WatchBound> ParseUntil(const std::string& text) {
  WatchBound bound;
  std::string error;
  int64_t position = 0;
  if (text.empty()) return bound;
  if (text == "now") {
    bound.at_head = true;
  } else if (absl::SimpleAtoi(text, &position) && position >= 0) {
    bound.position = position;
  } else if (const auto token = events::DecodeResumeToken(text); token.ok()) {
    bound.position = token->position;
  } else if (!absl::ParseTime(absl::RFC3339_full, text, &bound.until, &error)) {
    return absl::InvalidArgumentError(absl::StrCat("read --until '", text,
                                                   "': it is no time, position or token; use now, ",
                                                   "2026-03-01T09:00:00Z, 4711 or a resume token"));
  }
  return bound;
}

absl::StatusOr<bool> EventPrinter::Print(const WatchAllWorkspaceBuildsResponse& response) {
  for (const auto& item : response.snapshot_items()) PrintLine("snapshot", item);
  const bool passed_over = passed_over_;
  const WatchedBuildEvent* last = nullptr;
  bool done = false;
  for (const WatchedBuildEvent& watched : response.events()) {
    done = IsPast(watched) || (bound_.count > 0 && seen_ >= bound_.count);
    if (done) break;
    if (TimeOf(watched) >= bound_.until) {
      passed_over_ = true;
      continue;
    }
    PrintWatched(watched);
    ++seen_;
    if (!passed_over_ && watched.has_event()) last = &watched;
  }
  out_ << std::flush;
  if (!out_) return absl::DataLossError("write events: standard output takes no more");
  const std::string& token = response.resume_token();
  if (token.empty()) return done;
  // The token never passes over what was not shown.
  if (done || passed_over_) {
    if (!passed_over && last != nullptr) token_ = TokenAfter(*last, token);
  } else {
    token_ = token;
  }
  return done || (bound_.count > 0 && seen_ >= bound_.count) ||
         (bound_.position && PositionOf(token) >= *bound_.position);
}

bool EventPrinter::IsPast(const WatchedBuildEvent& watched) const {
  return (bound_.position && watched.position() > *bound_.position) ||
         TimeOf(watched) >= bound_.until + kDisorder;
}

void EventPrinter::PrintWatched(const WatchedBuildEvent& watched) {
  if (output_ == OutputFormat::kJson) {
    out_ << ToJson(watched, /*compact=*/true) << "\n";
  } else if (watched.has_unreadable()) {
    out_ << watched.position() << "  damaged event; look at the workspace with coderctl show\n";
  } else {
    PrintLine(std::to_string(watched.position()), watched.event());
  }
}

void EventPrinter::PrintLine(const std::string& position, const events::v1::BuildEvent& event) {
  if (output_ == OutputFormat::kJson) {
    out_ << "{\"snapshot\":" << ToJson(event, /*compact=*/true) << "}\n";
    return;
  }
  out_ << absl::StrCat(position, "  ", FormatTime(event.event_time(), event.has_event_time()), "  ",
                       Printable(event.owner_name()), "/", Printable(event.workspace_name()), " #",
                       event.build_number(), "  ", TransitionName(event.transition()), "  ",
                       JobStatusName(event.job_status()), "  ", ReasonName(event.reason()))
       << (event.error().empty() ? "" : "  " + Printable(event.error())) << Notice(event) << "\n";
}

absl::StatusOr<std::string> TokenFile::Load() const {
  if (path_.empty() || !std::filesystem::exists(path_)) return std::string();
  std::ifstream file(path_);
  std::string token;
  if (!file) {
    return absl::InternalError(
        absl::StrCat("read token file ", path_, ": ", std::strerror(errno), "; check its rights"));
  }
  std::getline(file, token);
  return std::string(absl::StripAsciiWhitespace(token));
}

absl::Status TokenFile::Save(const std::string& token) const {
  if (path_.empty() || token.empty()) return absl::OkStatus();
  const std::string fresh = path_ + ".new";
  std::ofstream file(fresh, std::ios::trunc);
  file << token << "\n";
  file.close();
  std::error_code error;
  if (file) std::filesystem::rename(fresh, path_, error);
  if (file && !error) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("write token file ", path_, ": ",
                                          error ? error.message() : std::strerror(errno),
                                          "; check its folder"));
}

}  // namespace coder::cli
