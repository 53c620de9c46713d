// Many watches from one process, told on standard input what to do, a word a line:
//
//   drop    every stream is ended by its client and resumed at another replica
//   read    streams that were begun without reading read from now on
//   least   prints {"least": {workspace: version, ...}}, the lowest any watch has seen of each
//
//   fault_crowd addresses=HOST:PORT,... token=TOKEN watches=N connections=N stalled=0|1
//
// Every watch begins where one snapshot ended and goes on from its last token whatever ends its
// stream. What breaks a promise is printed as {"problem": ...}; {"ready": N} says that every watch
// has a stream with something on it. Ends with its standard input.

#include <sys/resource.h>

#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/clock/system_clock.h"
#include "libs/server/grpc_channel.h"
#include "tests/faults/crowd_watch.h"

namespace coder::faults {
namespace {

using Settings = std::map<std::string, std::string>;
using Stubs = std::vector<std::unique_ptr<api::v1::WatchService::Stub>>;

int Number(const Settings& settings, const std::string& name) {
  int number = 0;
  return absl::SimpleAtoi(settings.at(name), &number) ? number : 0;
}

// `connections` to each address, one after the other.
Stubs Connect(const Settings& settings) {
  Stubs stubs;
  const std::vector<std::string> addresses = absl::StrSplit(settings.at("addresses"), ',');
  for (int i = 0; i < Number(settings, "connections"); ++i) {
    for (const std::string& address : addresses) {
      // Channels of different names do not share a connection.
      auto channel =
          server::CreateChannel({.target = address, .user_agent = absl::StrCat("fault_crowd/", i)});
      if (channel.ok()) stubs.push_back(api::v1::WatchService::NewStub(*channel));
    }
  }
  return stubs;
}

void PrintLeast(const std::vector<std::unique_ptr<CrowdWatch>>& watches) {
  std::map<std::string, int64_t> least;
  for (const auto& watch : watches) {
    for (const auto& [workspace, version] : watch->versions()) {
      const auto [it, is_new] = least.emplace(workspace, version);
      if (!is_new) it->second = std::min(it->second, version);
    }
  }
  std::string members;
  for (const auto& [workspace, version] : least) {
    absl::StrAppend(&members, members.empty() ? "" : ",", "\"", workspace, "\":", version);
  }
  PrintLine(absl::StrCat("{\"least\":{", members, "}}"));
}

int Run(const Settings& settings) {
  rlimit files = {};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);

  const Stubs stubs = Connect(settings);
  const auto start = TakeSnapshot(*stubs.front(), settings.at("token"));
  if (!start.ok()) {
    PrintProblem(absl::StrCat("no snapshot: ", start.status().ToString()));
    return 1;
  }
  CrowdRevival revival;
  std::vector<std::unique_ptr<CrowdWatch>> watches;
  for (int i = 0; i < Number(settings, "watches"); ++i) {
    std::vector<api::v1::WatchService::Stub*> places;
    for (size_t turn = 0; turn < 2; ++turn) {
      places.push_back(stubs[(static_cast<size_t>(i) + turn) % stubs.size()].get());
    }
    watches.push_back(std::make_unique<CrowdWatch>(i, settings.at("token"), std::move(places),
                                                   *start, Number(settings, "stalled") == 0,
                                                   revival));
    watches.back()->Begin();
  }
  clock::SystemClock clock;
  for (const auto& watch : watches) {
    while (!watch->has_begun()) clock.Wait(absl::Milliseconds(10), std::stop_token());
  }
  PrintLine(absl::StrCat("{\"ready\":", watches.size(), "}"));
  for (std::string word; std::getline(std::cin, word);) {
    if (word == "drop") {
      for (const auto& watch : watches) watch->Drop();
    } else if (word == "read") {
      for (const auto& watch : watches) watch->Read();
    } else if (word == "least") {
      PrintLeast(watches);
    }
  }
  revival.Stop();
  for (const auto& watch : watches) watch->End();
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
  for (const char* name : {"addresses", "token", "watches", "connections", "stalled"}) {
    if (!settings.contains(name)) {
      std::cerr << "fault_crowd: " << name << " is not given; the file's head tells the usage\n";
      return 2;
    }
  }
  return coder::faults::Run(settings);
}
