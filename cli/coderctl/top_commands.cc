#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <stop_token>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cli/coderctl/command_line.h"
#include "cli/coderctl/deployment_sample.h"
#include "cli/coderctl/interrupts.h"
#include "cli/coderctl/stream_ending.h"
#include "coder/api/v1/watch.grpc.pb.h"
#include "libs/clock/system_clock.h"
#include "libs/status/status_macros.h"

namespace coder::cli {
namespace {

using api::v1::WatchService;

constexpr absl::Duration kStep = absl::Milliseconds(100);
// Events make the view new at once, but not more often than this.
constexpr absl::Duration kShortest = absl::Milliseconds(500);
constexpr size_t kNewest = 5;
constexpr char kHomeAndClear[] = "\x1b[H\x1b[J";

struct TopOptions {
  double interval = 2;
  size_t rows = 20;
  bool once = false;
};

/// Watches all builds in the background for as long as it lives.
class EventCounter {
 public:
  explicit EventCounter(const Session& session)
      : session_(session), thread_([this](std::stop_token stop) { Run(std::move(stop)); }) {}

  SeenEvents Seen() const {
    const std::lock_guard lock(mutex_);
    return seen_;
  }

 private:
  void Run(std::stop_token stop) {
    clock::SystemClock clock;
    api::v1::WatchAllWorkspaceBuildsRequest request;
    while (!stop.stop_requested()) {
      const absl::Status status = Read(request, stop);
      if (stop.stop_requested()) return;
      if (!status.ok() && !IsResumable(status)) {
        const std::lock_guard lock(mutex_);
        seen_.status = status;
        return;
      }
      clock.Wait(absl::Seconds(1), stop);
    }
  }

  absl::Status Read(api::v1::WatchAllWorkspaceBuildsRequest& request, std::stop_token stop) {
    const auto stub = WatchService::NewStub(session_.channel());
    grpc::ClientContext context;
    session_.PrepareStream(context);
    const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
    const auto reader = stub->WatchAllWorkspaceBuilds(&context, request);
    api::v1::WatchAllWorkspaceBuildsResponse response;
    while (reader->Read(&response)) {
      if (!response.resume_token().empty()) request.set_resume_token(response.resume_token());
      const std::lock_guard lock(mutex_);
      for (auto& event : *response.mutable_events()) {
        ++seen_.count;
        if (seen_.newest.size() == kNewest) seen_.newest.erase(seen_.newest.begin());
        seen_.newest.push_back(std::move(event));
      }
    }
    return server::StatusFromGrpc(reader->Finish());
  }

  const Session& session_;
  mutable std::mutex mutex_;
  SeenEvents seen_;  // guarded by mutex_
  std::jthread thread_;
};

void Show(const CommandLine& line, const TopOptions& options, const DeploymentSample& sample,
          const SeenEvents* events) {
  if (line.output == OutputFormat::kJson) {
    std::cout << SampleToJson(sample, events).dump() << std::endl;
    return;
  }
  const bool live = events != nullptr && isatty(STDOUT_FILENO) != 0;
  const std::string text = SampleToText(sample, events, options.rows);
  std::cout << (live ? kHomeAndClear : "") << text << (events != nullptr && !live ? "\n" : "")
            << std::flush;
}

/// Waits for the next look; false at an interrupt.
bool AwaitNext(const TopOptions& options, int64_t seen, const EventCounter& events,
               Interrupts& interrupts) {
  clock::SystemClock clock;
  const absl::Duration began = clock.MonotonicNow();
  while (true) {
    if (interrupts.Pending()) return false;
    const absl::Duration passed = clock.MonotonicNow() - began;
    if (passed >= absl::Seconds(options.interval)) return true;
    if (passed >= kShortest && events.Seen().count != seen) return true;
    clock.Wait(kStep, std::stop_token());
  }
}

absl::Status Live(const CommandLine& line, const TopOptions& options) {
  Interrupts interrupts;
  ASSIGN_OR_RETURN(Session session, line.Connect());
  const EventCounter events(session);
  while (true) {
    const SeenEvents seen = events.Seen();
    const auto sample = TakeSample(session, clock::SystemClock().Now());
    if (sample.ok()) {
      Show(line, options, *sample, &seen);
    } else if (absl::IsUnauthenticated(sample.status())) {
      return sample.status();
    } else {
      std::cerr << "not reachable: " << sample.status().message() << "; trying again\n";
    }
    if (!std::cout) return absl::DataLossError("write the view: standard output is closed");
    if (!AwaitNext(options, seen.count, events, interrupts)) return absl::OkStatus();
  }
}

absl::Status Top(const CommandLine& line, const TopOptions& options) {
  if (!options.once) return Live(line, options);
  ASSIGN_OR_RETURN(Session session, line.Connect());
  ASSIGN_OR_RETURN(const DeploymentSample sample, TakeSample(session, clock::SystemClock().Now()));
  Show(line, options, sample, nullptr);
  return absl::OkStatus();
}

}  // namespace

void AddTopCommand(CLI::App& root, CommandLine& line) {
  auto options = std::make_shared<TopOptions>();
  CLI::App* top = AddCommand(root, line, "top", "What the deployment does now, refreshed",
                             [&line, options] { return Top(line, *options); });
  top->footer(
      "\nBuilds under way, the queue by engine and kind, provisioners, and how far the stream of\n"
      "events is behind its log. Each event makes the view new; an interrupt ends it. What you\n"
      "may not see is named as not shown. With -o json each view is one line.\n"
      "Examples:\n"
      "  coderctl top\n"
      "  coderctl top --interval 10 --rows 50\n"
      "  coderctl top --once -o json | jq .builds.pending\n");
  top->add_option("--interval", options->interval, "Seconds from view to view (2)")
      ->check(CLI::Range(0.5, 3600.0));
  top->add_option("--rows", options->rows, "The most builds in the table (20)")
      ->check(CLI::Range(0, 500));
  top->add_flag("--once", options->once, "One view, then end");
}

}  // namespace coder::cli
