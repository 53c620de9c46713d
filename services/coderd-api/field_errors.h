#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/status/error_reason.h"

namespace coder::api {

/// Collects what is wrong with a request, so that its sender learns all of it at once.
class FieldErrors {
 public:
  /// `attempt` begins the message: "create user".
  explicit FieldErrors(std::string attempt) : attempt_(std::move(attempt)) {}

  /// Adds the field violations of an error; OK adds nothing.
  void Add(const absl::Status& checked) {
    for (status::FieldViolation& violation : status::FieldViolationsOf(checked)) {
      violations_.push_back(std::move(violation));
    }
  }

  /// OK, or INVALID_ARGUMENT with every violation.
  absl::Status ToStatus() const {
    if (violations_.empty()) return absl::OkStatus();
    absl::Status all = absl::InvalidArgumentError(absl::StrCat(
        attempt_, ": ",
        absl::StrJoin(violations_, "; ", [](std::string* out, const status::FieldViolation& v) {
          absl::StrAppend(out, v.field, " ", v.description);
        })));
    for (const status::FieldViolation& violation : violations_) {
      all = status::WithFieldViolation(all, violation.field, violation.description);
    }
    return all;
  }

 private:
  const std::string attempt_;
  std::vector<status::FieldViolation> violations_;
};

}  // namespace coder::api
