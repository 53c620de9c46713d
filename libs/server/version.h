#pragma once

#include <string>
#include <string_view>

namespace coder::server {

// The release this binary was built from, as in "0.1.0"; the file VERSION is its only source.
std::string_view Version();

// The git commit, or "unknown" in builds without --stamp.
std::string_view Revision();

// The compiler, as in "g++ 12.2.0".
std::string_view Compiler();

// "0.1.0 (revision abc1234, g++ 12.2.0)".
std::string VersionText();

}  // namespace coder::server
