#include "libs/server/version.h"

#include "libs/server/version_data.h"

namespace coder::server {

std::string_view Version() { return kVersionData; }
std::string_view Revision() { return kRevisionData; }
std::string_view Compiler() { return "g++ " __VERSION__; }

std::string VersionText() {
  return std::string(Version()) + " (revision " + std::string(Revision()) + ", " +
         std::string(Compiler()) + ")";
}

}  // namespace coder::server
