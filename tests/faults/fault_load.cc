// The load of the fault suite: clients that write until SIGUSR1 and clients that watch until
// SIGTERM. What they did and saw goes to standard output, one JSON object a line.

#include <algorithm>
#include <csignal>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "libs/server/grpc_channel.h"
#include "tests/faults/history.h"
#include "tests/faults/watching.h"
#include "tests/faults/writing.h"

namespace coder::faults {
namespace {

constexpr char kUsage[] =
    "usage: fault_load addresses=HOST:PORT,... admin=TOKEN member=TOKEN owners=NAME,... "
    "template=ID seed=N writers=N workspaces=N watchers=N pause_ms=N\n"
    "       for TLS also ca=FILE certificate=FILE key=FILE\n";

using Settings = std::map<std::string, std::string>;

int Number(const Settings& settings, const std::string& name) {
  int number = 0;
  return absl::SimpleAtoi(settings.at(name), &number) ? number : 0;
}

std::string Optional(const Settings& settings, const std::string& name) {
  const auto found = settings.find(name);
  return found == settings.end() ? "" : found->second;
}

std::vector<std::shared_ptr<grpc::Channel>> Dial(const Settings& settings, int client) {
  std::vector<std::shared_ptr<grpc::Channel>> replicas;
  for (const auto address : absl::StrSplit(settings.at("addresses"), ',')) {
    auto channel = server::CreateChannel({.target = std::string(address),
                                          .plaintext = !settings.contains("ca"),
                                          .ca = Optional(settings, "ca"),
                                          .certificate = Optional(settings, "certificate"),
                                          .key = Optional(settings, "key"),
                                          .user_agent = absl::StrCat("fault_load/", client)});
    if (channel.ok()) replicas.push_back(*std::move(channel));
  }
  // Each client begins at another one.
  std::rotate(replicas.begin(), replicas.begin() + client % static_cast<int>(replicas.size()),
              replicas.end());
  return replicas;
}

std::vector<std::unique_ptr<Watching>> MakeWatchers(const Settings& settings, History& history) {
  std::vector<std::unique_ptr<Watching>> watchers;
  const int resuming = Number(settings, "watchers");
  for (int i = 0; i < resuming; ++i) {
    watchers.push_back(std::make_unique<Watching>(
        Watching::Options{.name = absl::StrCat("all-", i), .token = settings.at("admin")},
        Dial(settings, i), history));
  }
  watchers.push_back(std::make_unique<Watching>(
      Watching::Options{
          .name = "slow", .token = settings.at("admin"), .slowness = absl::Milliseconds(200)},
      Dial(settings, resuming), history));
  watchers.push_back(std::make_unique<Watching>(
      Watching::Options{
          .name = "snapshots", .token = settings.at("admin"), .always_snapshot = true},
      Dial(settings, resuming + 1), history));
  watchers.push_back(std::make_unique<Watching>(
      Watching::Options{.name = "member", .token = settings.at("member")},
      Dial(settings, resuming + 2), history));
  return watchers;
}

std::vector<std::unique_ptr<Writing>> MakeWriters(const Settings& settings, History& history) {
  std::vector<std::unique_ptr<Writing>> writers;
  for (int i = 0; i < Number(settings, "writers"); ++i) {
    writers.push_back(std::make_unique<Writing>(
        Writing::Options{.name = absl::StrCat("w", i),
                         .token = settings.at("admin"),
                         .template_id = settings.at("template"),
                         .owners = absl::StrSplit(settings.at("owners"), ','),
                         .workspaces = Number(settings, "workspaces"),
                         .seed = static_cast<uint64_t>(Number(settings, "seed") * 1000 + i),
                         .pause = absl::Milliseconds(Number(settings, "pause_ms"))},
        Dial(settings, i), history));
  }
  return writers;
}

void WaitForSignal(const sigset_t& signals, int wanted) {
  int got = 0;
  while (got != wanted) sigwait(&signals, &got);
}

int Run(const Settings& settings) {
  // Blocked before any thread starts, so that only the waits below take them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  History history(stdout);
  const auto watchers = MakeWatchers(settings, history);
  const auto writers = MakeWriters(settings, history);
  std::vector<std::jthread> watching;
  for (const auto& watcher : watchers) {
    watching.emplace_back([&w = *watcher](std::stop_token stop) { w.Run(stop); });
  }
  // Nothing is written before everybody watches: so each has to see it all.
  clock::SystemClock clock;
  for (const auto& watcher : watchers) {
    while (!watcher->has_begun()) clock.Wait(absl::Milliseconds(20), std::stop_token());
  }
  history.Add("begun", Member("watchers", static_cast<int64_t>(watchers.size())));
  {
    std::vector<std::jthread> writing;
    for (const auto& writer : writers) {
      writing.emplace_back([&w = *writer](std::stop_token stop) { w.Run(stop); });
    }
    WaitForSignal(signals, SIGUSR1);
  }
  for (const auto& watcher : watchers) watcher->Hurry();
  history.Add("quiet", Member("writers", static_cast<int64_t>(writers.size())));
  WaitForSignal(signals, SIGTERM);
  return 0;
}

}  // namespace
}  // namespace coder::faults

int main(int argc, char** argv) {
  coder::faults::Settings settings;
  for (int i = 1; i < argc; ++i) {
    const std::pair<std::string, std::string> setting =
        absl::StrSplit(argv[i], absl::MaxSplits('=', 1));
    settings.insert(setting);
  }
  for (const char* name : {"addresses", "admin", "member", "owners", "template", "seed", "writers",
                           "workspaces", "watchers", "pause_ms"}) {
    if (!settings.contains(name)) {
      std::cerr << "fault_load: " << name << " is not given\n" << coder::faults::kUsage;
      return 2;
    }
  }
  return coder::faults::Run(settings);
}
