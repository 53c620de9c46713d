#pragma once

#include <string>
#include <vector>

namespace coder::cli {

/// `text` with every secret it can tell replaced by "***": the `known` ones; the deployment's
/// tokens and keys by their form; bearer credentials; passwords in URLs; private keys in PEM; and
/// the value of whatever is named like a secret (a name with "password", "secret", "token",
/// "credential", "api_key" or "private_key" in it, then ":" or "="). It rather takes too much.
std::string Scrubbed(const std::string& text, const std::vector<std::string>& known);

}  // namespace coder::cli
