#pragma once

#include <catch2/catch.hpp>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

/// Catch prints a status in words.
template <>
struct Catch::StringMaker<absl::Status> {
  static std::string convert(const absl::Status& status) { return status.ToString(); }
};

/// Catch prints the status of an absent value.
template <typename T>
struct Catch::StringMaker<absl::StatusOr<T>> {
  static std::string convert(const absl::StatusOr<T>& value) { return value.status().ToString(); }
};

namespace coder::testing {

/// Matches an absl::Status or absl::StatusOr<T> by its code and a part of its message, as in
/// `CHECK_THAT(pool.Acquire(deadline), StatusIs(absl::StatusCode::kUnavailable, "connect"))`.
/// The whole status is printed when it does not match. Made by IsOk and StatusIs.
class StatusMatcher {
 public:
  StatusMatcher(absl::StatusCode code, std::string substring)
      : code_(code), substring_(std::move(substring)) {}

  bool match(const absl::Status& status) const {
    return status.code() == code_ &&
           std::string(status.message()).find(substring_) != std::string::npos;
  }

  template <typename T>
  bool match(const absl::StatusOr<T>& value) const {
    return match(value.status());
  }

  std::string toString() const {
    std::string text = "is " + absl::StatusCodeToString(code_);
    if (!substring_.empty()) text += " and says \"" + substring_ + "\"";
    return text;
  }

 private:
  absl::StatusCode code_;
  std::string substring_;
};

/// Matches success.
inline StatusMatcher IsOk() { return StatusMatcher(absl::StatusCode::kOk, ""); }

/// Matches a code and, unless it is empty, a part of the message.
inline StatusMatcher StatusIs(absl::StatusCode code, std::string substring = "") {
  return StatusMatcher(code, std::move(substring));
}

}  // namespace coder::testing
