#include "libs/lifecycle/parameters.h"

#include <map>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "libs/lifecycle/parameter_value.h"
#include "libs/status/error_reason.h"

namespace coder::lifecycle {
namespace {

constexpr size_t kShownBytes = 80;

std::string Shown(absl::string_view value) {
  return absl::StrCat("\"", absl::CHexEscape(value.substr(0, kShownBytes)), "\"");
}

// Collects what is wrong, so that whoever filled in a form learns everything at once.
class Faults {
 public:
  void Add(absl::string_view name, absl::string_view description) {
    absl::StrAppend(&message_, found_.empty() ? "" : "; ", "parameter ", Shown(name), " ",
                    description);
    found_.emplace_back(absl::StrCat("parameters[", name.substr(0, kShownBytes), "]"), description);
  }

  absl::Status ToStatus() const {
    if (found_.empty()) return absl::OkStatus();
    absl::Status status =
        absl::InvalidArgumentError(absl::StrCat("resolve build parameters: ", message_));
    for (const auto& [field, description] : found_) {
      status = status::WithFieldViolation(std::move(status), field, description);
    }
    return status;
  }

 private:
  std::string message_;
  std::vector<std::pair<std::string, std::string>> found_;
};

using Values = std::map<absl::string_view, absl::string_view>;

Values ByName(const std::vector<NameValue>& list) {
  Values values;
  for (const NameValue& item : list) values.emplace(item.name, item.value);
  return values;
}

const absl::string_view* Find(const Values& values, absl::string_view name) {
  const auto it = values.find(name);
  return it == values.end() ? nullptr : &it->second;
}

void CheckGivenNames(const std::vector<ParameterDefinition>& definitions,
                     const std::vector<NameValue>& given, Faults& faults) {
  // How often each name is given.
  std::map<absl::string_view, int> counts;
  for (const ParameterDefinition& definition : definitions) counts.emplace(definition.name, 0);
  for (const NameValue& item : given) {
    const auto it = counts.find(item.name);
    if (it == counts.end()) {
      faults.Add(item.name, "is not known to the template version; leave it out");
    } else if (++it->second == 2) {
      faults.Add(item.name, "is given more than once; give it once");
    }
  }
}

// A move in the wrong direction. Values that are not numbers have been refused before.
std::optional<std::string> FaultOfDirection(const ParameterDefinition& definition,
                                            absl::string_view before, absl::string_view value) {
  if (definition.monotonic == Monotonic::kNone) return std::nullopt;
  const std::optional<double> from = ReadNumber(before);
  const std::optional<double> to = ReadNumber(value);
  if (!from || !to) return std::nullopt;
  const bool increasing = definition.monotonic == Monotonic::kIncreasing;
  if (increasing ? *to >= *from : *to <= *from) return std::nullopt;
  return absl::StrCat(Shown(value), " may only ", increasing ? "increase" : "decrease", "; use at ",
                      increasing ? "least " : "most ", before);
}

std::optional<std::string> FaultOfChange(const ParameterDefinition& definition,
                                         const absl::string_view* before, absl::string_view value) {
  // A parameter the previous build did not have is set for the first time.
  if (before == nullptr || *before == value) return std::nullopt;
  if (!definition.is_mutable && !definition.ephemeral) {
    return absl::StrCat(Shown(value), " changes what cannot be changed after it was set; keep ",
                        Shown(*before), " or create another workspace");
  }
  return FaultOfDirection(definition, *before, value);
}

}  // namespace

absl::StatusOr<ParameterType> ParseParameterType(absl::string_view text) {
  if (text == "string") return ParameterType::kString;
  if (text == "number") return ParameterType::kNumber;
  if (text == "bool") return ParameterType::kBool;
  if (text == "list(string)") return ParameterType::kListOfStrings;
  return absl::InvalidArgumentError(
      absl::StrCat("parse parameter type: ", Shown(text),
                   " is not known; use one of: string, number, bool, list(string)"));
}

absl::StatusOr<Monotonic> ParseMonotonic(absl::string_view text) {
  if (text.empty()) return Monotonic::kNone;
  if (text == "increasing") return Monotonic::kIncreasing;
  if (text == "decreasing") return Monotonic::kDecreasing;
  return absl::InvalidArgumentError(
      absl::StrCat("parse validation monotonic: ", Shown(text),
                   " is not known; use increasing or decreasing, or leave it empty"));
}

absl::StatusOr<std::vector<NameValue>> ResolveParameters(
    const std::vector<ParameterDefinition>& definitions, const std::vector<NameValue>& previous,
    const std::vector<NameValue>& given) {
  Faults faults;
  CheckGivenNames(definitions, given, faults);
  const Values given_values = ByName(given);
  const Values previous_values = ByName(previous);
  std::vector<NameValue> resolved;
  for (const ParameterDefinition& definition : definitions) {
    const absl::string_view* before =
        definition.ephemeral ? nullptr : Find(previous_values, definition.name);
    const absl::string_view* value = Find(given_values, definition.name);
    if (value == nullptr) value = before;
    if (value == nullptr && definition.required) {
      faults.Add(definition.name, "is required and has no value; give one");
      continue;
    }
    const std::string chosen(value == nullptr ? definition.default_value : std::string(*value));
    if (auto fault = FaultOf(definition, chosen)) {
      faults.Add(definition.name, absl::StrCat(Shown(chosen), " ", *fault));
    } else if (auto change = FaultOfChange(definition, before, chosen)) {
      faults.Add(definition.name, *change);
    }
    resolved.push_back({definition.name, chosen});
  }
  if (absl::Status status = faults.ToStatus(); !status.ok()) return status;
  return resolved;
}

}  // namespace coder::lifecycle
