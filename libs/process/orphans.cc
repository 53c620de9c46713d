#include "libs/process/orphans.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>
#include <string>
#include <system_error>
#include <vector>

namespace coder::process {
namespace {

constexpr auto kEndWithin = std::chrono::seconds(5);
constexpr int kBetweenLooksMs = 5;

bool CarriesMark(pid_t pid, const std::string& mark) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/environ", std::ios::binary);
  std::string environment((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  return environment.find(mark) != std::string::npos;
}

std::vector<pid_t> FindMarked(const std::string& mark) {
  std::vector<pid_t> found;
  std::error_code error;
  for (std::filesystem::directory_iterator it("/proc", error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const pid_t pid = static_cast<pid_t>(std::stol(name));
    if (pid != ::getpid() && CarriesMark(pid, mark)) found.push_back(pid);
  }
  return found;
}

bool Gone(pid_t pid) {
  (void)::waitpid(pid, nullptr, WNOHANG);
  return ::kill(pid, 0) != 0;
}

}  // namespace

void BecomeReaper() {
  static std::once_flag once;
  std::call_once(once, [] { ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); });
}

bool EndMarked(const std::string& mark) {
  const auto give_up = std::chrono::steady_clock::now() + kEndWithin;
  std::vector<pid_t> ending;
  while (true) {
    for (pid_t pid : FindMarked(mark)) {
      ::kill(pid, SIGKILL);
      ending.push_back(pid);
    }
    std::erase_if(ending, Gone);
    if (ending.empty()) return true;
    if (std::chrono::steady_clock::now() >= give_up) return false;
    ::poll(nullptr, 0, kBetweenLooksMs);
  }
}

}  // namespace coder::process
