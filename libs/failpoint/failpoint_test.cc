#include "libs/failpoint/failpoint.h"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"

namespace coder::failpoint {
namespace {

// A board with the one place "here".
std::string WriteBoard(Action action, int32_t hits_to) {
  std::string path = absl::StrCat(getenv("TEST_TMPDIR"), "/board");
  std::string slot(sizeof(Slot), '\0');
  const auto number = static_cast<int32_t>(action);
  memcpy(slot.data(), "here", 4);
  memcpy(slot.data() + offsetof(Slot, action), &number, sizeof(number));
  memcpy(slot.data() + offsetof(Slot, hits_to), &hits_to, sizeof(hits_to));
  std::ofstream(path, std::ios::binary) << slot;
  return path;
}

uint64_t HitsOn(const std::string& path) {
  uint64_t hits = 0;
  std::ifstream board(path, std::ios::binary);
  board.seekg(offsetof(Slot, hits));
  board.read(reinterpret_cast<char*>(&hits), sizeof(hits));
  return hits;
}

// How a process ended that opened the board and then did `work`.
template <typename Work>
int EndOf(const std::string& path, Work work) {
  const pid_t child = fork();
  if (child == 0) {
    if (!OpenBoard(path).ok()) _exit(99);
    work();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

TEST_CASE("without a board a hit does nothing") {
  Hit("here");
  CHECK_FALSE(IsOn("here"));
}

TEST_CASE("hits are counted on the board and outlive the process") {
  const std::string path = WriteBoard(Action::kNone, 0);
  CHECK(EndOf(path, [] {
          Hit("here");
          Hit("elsewhere");
          Hit("here");
        }) == 0);
  CHECK(HitsOn(path) == 2);
}

TEST_CASE("an armed place kills at the hit it was told, and only once") {
  const std::string path = WriteBoard(Action::kKill, 2);
  const auto twice = [] {
    Hit("here");
    Hit("here");
  };
  const int first = EndOf(path, twice);
  CHECK(WIFSIGNALED(first));
  CHECK(WTERMSIG(first) == SIGKILL);
  CHECK(EndOf(path, twice) == 0);
  CHECK(HitsOn(path) == 4);
}

TEST_CASE("a protection is off only while the board says so") {
  CHECK(EndOf(WriteBoard(Action::kOn, 0), [] { _exit(IsOn("here") ? 7 : 8); }) == 7 << 8);
  CHECK(EndOf(WriteBoard(Action::kNone, 0), [] { _exit(IsOn("here") ? 7 : 8); }) == 8 << 8);
}

TEST_CASE("what is no board is refused") {
  const std::string path = absl::StrCat(getenv("TEST_TMPDIR"), "/short");
  std::ofstream(path) << "no board";
  CHECK(OpenBoard(path).code() == absl::StatusCode::kInvalidArgument);
  CHECK(OpenBoard(path + ".absent").code() == absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace coder::failpoint
