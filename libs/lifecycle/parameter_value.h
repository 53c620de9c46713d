#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "libs/lifecycle/parameters.h"

namespace coder::lifecycle {

/// Reads a decimal number such as -1.5 or 2e3; absent for anything else, also for infinities.
std::optional<double> ReadNumber(absl::string_view text);

/// Reads a JSON array of strings; absent for anything else.
std::optional<std::vector<std::string>> ReadListOfStrings(absl::string_view text);

/// What is wrong with `value` under the definition's type, options, rules and bounds, as a clause
/// that says what would be accepted; absent when nothing is.
std::optional<std::string> FaultOf(const ParameterDefinition& definition, absl::string_view value);

}  // namespace coder::lifecycle
