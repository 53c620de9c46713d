#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "libs/lifecycle/ids.h"

namespace coder::lifecycle {

/// What a job asks of the daemon that runs it, by name.
using JobTags = std::map<std::string, std::string>;

inline constexpr size_t kMaxJobTags = 32;
inline constexpr size_t kMaxJobTagBytes = 128;

/// `tags` made complete for a job of `owner`: with scope "user" the tag owner is the owner's id;
/// otherwise scope is "organization" and owner is empty, whatever the tags said.
JobTags WithJobScope(JobTags tags, UserId owner);

/// OK, or INVALID_ARGUMENT with a violation of `field`: more than 32 tags, a name that is empty or
/// over 128 bytes, a value over 128 bytes, or a scope other than "user" and "organization".
absl::Status CheckJobTags(absl::string_view field, const JobTags& tags);

}  // namespace coder::lifecycle
