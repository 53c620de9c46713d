#pragma once

#include <cstdio>
#include <mutex>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "libs/clock/system_clock.h"

namespace coder::faults {

// What clients did and saw, one JSON object a line, in the order it was known. Thread-safe.
class History {
 public:
  // `out` must outlive the history.
  explicit History(FILE* out) : out_(out) {}

  // Adds one line: `fields` are the members of its object, without braces. A line is on its way to
  // the reader when this returns.
  void Add(const std::string& kind, const std::string& fields) {
    const int64_t millis = absl::ToInt64Milliseconds(clock_.MonotonicNow());
    const std::lock_guard lock(mutex_);
    const std::string line =
        absl::StrCat("{\"kind\":\"", kind, "\",\"at\":", millis, ",", fields, "}\n");
    fwrite(line.data(), 1, line.size(), out_);
    fflush(out_);
  }

 private:
  FILE* const out_;
  clock::SystemClock clock_;
  std::mutex mutex_;
};

// One member of an object. Texts here are ids and names, which need no escaping.
inline std::string Member(const std::string& name, const std::string& text) {
  return absl::StrCat("\"", name, "\":\"", text, "\"");
}
inline std::string Member(const std::string& name, int64_t number) {
  return absl::StrCat("\"", name, "\":", number);
}

}  // namespace coder::faults
