#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "coder/api/v1/template.pb.h"

namespace coder::cli {

/// A field of a template's policy as the command line knows it.
struct PolicyField {
  /// As in the message; the option is the same with hyphens.
  const char* name;
  const char* help;
};

/// Every field that `templates edit` changes, in the order they are shown in.
const std::vector<PolicyField>& PolicyFields();

/// Sets a field from text: durations as 8h or off, days as mon-fri,sun or all or none, true or
/// false, whole numbers, any text. INVALID_ARGUMENT, naming the option and what is accepted.
absl::Status SetPolicyField(const std::string& name, const std::string& text,
                            api::v1::Template& target);

/// The field as SetPolicyField reads it.
std::string PolicyFieldText(const std::string& name, const api::v1::Template& source);

}  // namespace coder::cli
