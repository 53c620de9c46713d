#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace coder::provisionerd {

// Hands `text` over as log lines: split at line ends and at 1024 bytes (between characters),
// without control characters, with bytes that are not UTF-8 replaced by '?'. Empty lines are
// dropped.
void ForEachLogLine(std::string_view text, const std::function<void(std::string line)>& sink);

// Replaces every occurrence of a secret in `text` by "(sensitive value)". Secrets shorter than six
// bytes are left alone: they would blot out ordinary words and are guessed anyway.
std::string Redact(std::string text, const std::vector<std::string>& secrets);

}  // namespace coder::provisionerd
