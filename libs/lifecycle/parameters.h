#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace coder::lifecycle {

/// What a parameter's value has to look like: any text, a decimal number, "true" or "false", or a
/// JSON array of strings.
enum class ParameterType : uint8_t { kString, kNumber, kBool, kListOfStrings };

/// How a number may change from build to build. Staying the same is always allowed.
enum class Monotonic : uint8_t { kNone, kIncreasing, kDecreasing };

/// "string", "number", "bool" or "list(string)". INVALID_ARGUMENT for any other text.
absl::StatusOr<ParameterType> ParseParameterType(absl::string_view text);
/// "", "increasing" or "decreasing". INVALID_ARGUMENT for any other text.
absl::StatusOr<Monotonic> ParseMonotonic(absl::string_view text);

/// A question a template version asks whoever builds from it.
struct ParameterDefinition {
  std::string name;
  ParameterType type = ParameterType::kString;
  /// An immutable one keeps the value of the first build that had it.
  bool is_mutable = true;
  /// An ephemeral one holds for one build.
  bool ephemeral = false;
  /// Without a default.
  bool required = false;
  std::string default_value;
  /// If any: the only values allowed; of a list, each element is one of them.
  std::vector<std::string> options;
  /// RE2 syntax, found anywhere in the value; empty: no such rule. Not for values of other types
  /// than string.
  std::string validation_regex;
  /// What to tell whoever gave a value the rules refuse; empty: a sentence of our own.
  std::string validation_error;
  /// Inclusive bounds of a number.
  std::optional<int64_t> validation_min;
  std::optional<int64_t> validation_max;
  Monotonic monotonic = Monotonic::kNone;
};

/// A parameter's answer.
struct NameValue {
  std::string name;
  std::string value;

  friend bool operator==(const NameValue&, const NameValue&) = default;
};

/// The longest value of a parameter, in bytes.
inline constexpr size_t kMaxParameterValueBytes = 16 * 1024;

/// The values a build runs with, in the order of `definitions`: what is given; else, unless the
/// parameter is ephemeral, what the previous build had; else the default. `previous` is empty for a
/// workspace's first build; values in it that no definition names are left behind.
///
/// INVALID_ARGUMENT, with a violation of `parameters[<name>]` for each parameter at fault: given
/// but unknown, given twice, required but without a value, of another type, longer than the limit,
/// not among the options, refused by a rule, moving the wrong way, or immutable and changed.
absl::StatusOr<std::vector<NameValue>> ResolveParameters(
    const std::vector<ParameterDefinition>& definitions, const std::vector<NameValue>& previous,
    const std::vector<NameValue>& given);

}  // namespace coder::lifecycle
