#include "libs/failpoint/failpoint.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace coder::failpoint {
namespace internal {
namespace {

Slot* g_slots = nullptr;
size_t g_count = 0;

Slot* Find(std::string_view name) {
  for (size_t i = 0; i < g_count; ++i) {
    Slot& slot = g_slots[i];
    if (std::string_view(slot.name, strnlen(slot.name, Slot::kNameBytes)) == name) return &slot;
  }
  return nullptr;
}

bool IsDue(Slot& slot) { return slot.hits_to.fetch_sub(1) == 1; }

}  // namespace

std::atomic<bool> g_open = false;

void Hit(std::string_view name) {
  Slot* slot = Find(name);
  if (slot == nullptr) return;
  slot->hits.fetch_add(1);
  switch (static_cast<Action>(slot->action.load())) {
    case Action::kKill:
      if (IsDue(*slot)) {
        // Disarmed first: the next process finds the same board.
        slot->action = static_cast<int32_t>(Action::kNone);
        kill(getpid(), SIGKILL);
        pause();
      }
      return;
    case Action::kHold:
      if (IsDue(*slot)) {
        slot->action = static_cast<int32_t>(Action::kNone);
        poll(nullptr, 0, static_cast<int>(slot->millis.load()));
      }
      return;
    case Action::kNone:
    case Action::kOn:
      return;
  }
}

bool IsOn(std::string_view name) {
  Slot* slot = Find(name);
  if (slot == nullptr || static_cast<Action>(slot->action.load()) != Action::kOn) return false;
  slot->hits.fetch_add(1);
  return true;
}

}  // namespace internal

absl::Status OpenBoard(const std::string& path) {
  const int file = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) return absl::ErrnoToStatus(errno, absl::StrCat("open failpoints ", path));
  struct stat about = {};
  if (fstat(file, &about) != 0 || about.st_size == 0 || about.st_size % sizeof(Slot) != 0) {
    close(file);
    return absl::InvalidArgumentError(
        absl::StrCat("open failpoints ", path, ": it is no board of slots of ", sizeof(Slot),
                     " bytes; leave the option out, only fault tests make boards"));
  }
  void* mapped = mmap(nullptr, static_cast<size_t>(about.st_size), PROT_READ | PROT_WRITE,
                      MAP_SHARED, file, 0);
  close(file);
  if (mapped == MAP_FAILED) return absl::ErrnoToStatus(errno, absl::StrCat("map ", path));
  internal::g_slots = static_cast<Slot*>(mapped);
  internal::g_count = static_cast<size_t>(about.st_size) / sizeof(Slot);
  internal::g_open = true;
  return absl::OkStatus();
}

}  // namespace coder::failpoint
