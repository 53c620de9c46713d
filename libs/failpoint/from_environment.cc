#include "libs/failpoint/from_environment.h"

#include <cstdlib>

#include "libs/failpoint/failpoint.h"
#include "libs/server/log.h"

namespace coder::failpoint {

bool OpenFromEnvironment() {
  const char* path = std::getenv("CODER_FAILPOINTS");
  if (path == nullptr || *path == '\0') return true;
  const absl::Status opened = OpenBoard(path);
  if (!opened.ok()) {
    log::Error("cannot start: CODER_FAILPOINTS names no board", {{"error", opened}});
    return false;
  }
  log::Warn("failpoints are open: a fault test may stop this process anywhere", {{"file", path}});
  return true;
}

}  // namespace coder::failpoint
