#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace coder::cli {

/// A password from CODER_PASSWORD, else the first line of standard input when `from_stdin`, else
/// typed at the terminal without echo. FAILED_PRECONDITION when there is no terminal to ask at.
absl::StatusOr<std::string> AskPassword(const std::string& prompt, bool from_stdin);

/// A line typed at the terminal. FAILED_PRECONDITION when there is no terminal; `option` is the
/// remedy that is named.
absl::StatusOr<std::string> AskLine(const std::string& prompt, const std::string& option);

}  // namespace coder::cli
