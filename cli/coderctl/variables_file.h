#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"

namespace coder::cli {

/// Values of template variables by name.
using VariableValues = std::map<std::string, std::string>;

/// Reads a JSON object such as {"region": "eu", "zones": ["a", "b"]}: text as it is, other values
/// as JSON, which the engine reads as numbers, lists and objects. INVALID_ARGUMENT with `path` for
/// other text or a null.
absl::StatusOr<VariableValues> ParseVariables(const std::string& path, const std::string& text);

/// ParseVariables of a file; NOT_FOUND if it cannot be read.
absl::StatusOr<VariableValues> ReadVariablesFile(const std::string& path);

}  // namespace coder::cli
