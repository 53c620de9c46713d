#include "libs/lifecycle/job_tags.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "libs/status/error_reason.h"

namespace coder::lifecycle {
namespace {

constexpr char kScope[] = "scope";
constexpr char kOwner[] = "owner";
constexpr char kUserScope[] = "user";
constexpr char kOrganizationScope[] = "organization";

absl::Status Violation(absl::string_view field, absl::string_view description) {
  return status::WithFieldViolation(
      absl::InvalidArgumentError(absl::StrCat("check ", field, ": ", description)), field,
      description);
}

}  // namespace

JobTags WithJobScope(JobTags tags, UserId owner) {
  const auto scope = tags.find(kScope);
  const bool of_user = scope != tags.end() && scope->second == kUserScope;
  tags[kScope] = of_user ? kUserScope : kOrganizationScope;
  tags[kOwner] = of_user ? owner.ToString() : "";
  return tags;
}

absl::Status CheckJobTags(absl::string_view field, const JobTags& tags) {
  if (tags.size() > kMaxJobTags) {
    return Violation(field,
                     absl::StrCat(tags.size(), " tags are too many; give at most ", kMaxJobTags));
  }
  for (const auto& [name, value] : tags) {
    if (name.empty()) return Violation(field, "a tag has no name; name it or leave it out");
    if (name.size() > kMaxJobTagBytes || value.size() > kMaxJobTagBytes) {
      return Violation(
          field, absl::StrCat("tag \"", absl::CHexEscape(name.substr(0, kMaxJobTagBytes)),
                              "\" is too long; names and values have at most ", kMaxJobTagBytes,
                              " bytes"));
    }
  }
  const auto scope = tags.find(kScope);
  if (scope != tags.end() && !scope->second.empty() && scope->second != kUserScope &&
      scope->second != kOrganizationScope) {
    return Violation(field, absl::StrCat("scope \"", absl::CHexEscape(scope->second),
                                         "\" is unknown; use \"organization\" or \"user\""));
  }
  return absl::OkStatus();
}

}  // namespace coder::lifecycle
