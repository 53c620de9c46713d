#include "cli/coderctl/event_printer.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string>

#include "libs/events/pack.h"
#include "libs/events/resume_token.h"

namespace coder::cli {
namespace {

using api::v1::WatchAllWorkspaceBuildsResponse;

constexpr int64_t kNoon = 1'770'000'000;

std::string TokenAt(int64_t position) {
  const events::EventSlice slice = {.readable = true,
                                    .keys = {.workspace_id = "ws", .workspace_version = position}};
  return events::EncodeResumeToken(
      {.epoch = 3, .position = position, .event_hash = events::EventHash(slice)});
}

// Events of one workspace, a second apart from noon on, at positions first..last.
WatchAllWorkspaceBuildsResponse Batch(int64_t first, int64_t last) {
  WatchAllWorkspaceBuildsResponse response;
  for (int64_t position = first; position <= last; ++position) {
    auto& watched = *response.add_events();
    watched.set_position(position);
    watched.mutable_event()->set_workspace_id("ws");
    watched.mutable_event()->set_workspace_version(position);
    watched.mutable_event()->mutable_event_time()->set_seconds(kNoon + position);
  }
  response.set_resume_token(TokenAt(last));
  return response;
}

struct Printed {
  explicit Printed(WatchBound bound) : printer(OutputFormat::kJson, bound, out) {}

  bool Take(const WatchAllWorkspaceBuildsResponse& response) {
    const auto done = printer.Print(response);
    REQUIRE(done.ok());
    return *done;
  }
  int64_t lines() const {
    const std::string text = out.str();
    return std::count(text.begin(), text.end(), '\n');
  }

  std::ostringstream out;
  EventPrinter printer;
};

TEST_CASE("a reminder says when the workspace stops") {
  std::ostringstream out;
  EventPrinter printer(OutputFormat::kTable, {}, out);
  WatchAllWorkspaceBuildsResponse response = Batch(1, 2);
  auto& event = *response.mutable_events(1)->mutable_event();
  event.set_kind(events::v1::BUILD_EVENT_KIND_AUTOSTOP_REMINDER);
  event.mutable_deadline()->set_seconds(kNoon + 1800);
  REQUIRE(printer.Print(response).ok());
  const std::string text = out.str();
  // The second line's end, and nowhere else.
  const std::string notice = "  stops at 2026-02-02 03:10:00 UTC\n";
  REQUIRE(text.ends_with(notice));
  CHECK(text.find("stops at") == text.size() - notice.size() + 2);
}

TEST_CASE("each event is one line, and the token is the batch's") {
  Printed printed({});
  CHECK_FALSE(printed.Take(Batch(1, 3)));
  CHECK(printed.lines() == 3);
  CHECK(printed.printer.token() == TokenAt(3));
}

TEST_CASE("a count ends within a batch, with a token that repeats and skips nothing") {
  Printed printed({.count = 4});
  CHECK_FALSE(printed.Take(Batch(1, 3)));
  CHECK(printed.Take(Batch(4, 9)));
  CHECK(printed.lines() == 4);
  CHECK(printed.printer.token() == TokenAt(4));
}

TEST_CASE("a position ends the watch at it, whether or not its event is admitted") {
  Printed at(*ParseUntil("5"));
  CHECK(at.Take(Batch(1, 9)));
  CHECK(at.lines() == 5);
  CHECK(at.printer.token() == TokenAt(5));
  Printed filtered(*ParseUntil("5"));
  CHECK_FALSE(filtered.Take(Batch(1, 2)));
  CHECK(filtered.Take(Batch(7, 9)));
  CHECK(filtered.lines() == 2);
  CHECK(filtered.printer.token() == TokenAt(2));
  Printed bookmark(*ParseUntil(TokenAt(5)));
  WatchAllWorkspaceBuildsResponse quiet;
  quiet.set_resume_token(TokenAt(6));
  CHECK(bookmark.Take(quiet));
}

TEST_CASE("a time leaves out what took place at or after it, and waits for the end of the log") {
  Printed printed({.until = absl::FromUnixSeconds(kNoon + 5)});
  CHECK(printed.printer.WantsHead(absl::FromUnixSeconds(kNoon + 5)));
  CHECK_FALSE(printed.printer.WantsHead(absl::FromUnixSeconds(kNoon + 4)));
  printed.printer.EndAt(10);
  CHECK_FALSE(printed.Take(Batch(1, 8)));
  CHECK(printed.lines() == 4);
  CHECK(printed.printer.token() == TokenAt(4));
  // One that took place in time but got its position late.
  auto late = Batch(9, 9);
  late.mutable_events(0)->mutable_event()->mutable_event_time()->set_seconds(kNoon);
  CHECK_FALSE(printed.Take(late));
  CHECK(printed.lines() == 5);
  CHECK(printed.Take(Batch(10, 10)));
  CHECK(printed.lines() == 5);
  CHECK(printed.printer.token() == TokenAt(4));
}

TEST_CASE("what no longer can come in time ends the watch early") {
  Printed printed({.until = absl::FromUnixSeconds(kNoon)});
  CHECK(printed.Take(Batch(100, 200)));
  CHECK(printed.lines() == 0);
}

TEST_CASE("until reads now, positions, tokens and times, and nothing else") {
  CHECK(ParseUntil("now")->at_head);
  CHECK(ParseUntil("0")->position == 0);
  CHECK(ParseUntil(TokenAt(77))->position == 77);
  CHECK(ParseUntil("2026-03-01T09:00:00Z")->until == absl::FromUnixSeconds(1'772'355'600));
  CHECK(ParseUntil("")->until == absl::InfiniteFuture());
  CHECK(ParseUntil("tomorrow").status().code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("a closed output keeps the token before what was not written") {
  Printed printed({});
  printed.Take(Batch(1, 2));
  printed.out.setstate(std::ios::badbit);
  CHECK(printed.printer.Print(Batch(3, 4)).status().code() == absl::StatusCode::kDataLoss);
  CHECK(printed.printer.token() == TokenAt(2));
}

TEST_CASE("a token file keeps the last token over runs") {
  const char* const folder = std::getenv("TEST_TMPDIR");
  REQUIRE(folder);
  const std::string path = std::string(folder) + "/token";
  std::filesystem::remove(path);
  CHECK(TokenFile(path).Load()->empty());
  REQUIRE(TokenFile(path).Save("first").ok());
  REQUIRE(TokenFile(path).Save("second").ok());
  REQUIRE(TokenFile(path).Save("").ok());
  CHECK(*TokenFile(path).Load() == "second");
  CHECK(TokenFile("").Load()->empty());
  CHECK(TokenFile("/nowhere/token").Save("x").code() == absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace coder::cli
