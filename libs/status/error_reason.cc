#include "libs/status/error_reason.h"

#include <cstdint>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace coder::status {
namespace {

constexpr char kReasonUrl[] = "coder.reason";
constexpr char kFieldViolationsUrl[] = "coder.field_violations";
constexpr char kRetryAfterUrl[] = "coder.retry_after";
constexpr char kInternalDetailUrl[] = "coder.internal_detail";

// A payload is a list of strings, each as "<length>:<bytes>", so that values may hold any byte.
void AppendText(std::string& out, absl::string_view text) {
  absl::StrAppend(&out, text.size(), ":", text);
}

std::vector<std::string> SplitTexts(absl::string_view in) {
  std::vector<std::string> texts;
  while (!in.empty()) {
    const size_t colon = in.find(':');
    uint64_t length = 0;
    if (colon == absl::string_view::npos || !absl::SimpleAtoi(in.substr(0, colon), &length)) break;
    in.remove_prefix(colon + 1);
    if (length > in.size()) break;
    texts.emplace_back(in.substr(0, length));
    in.remove_prefix(length);
  }
  return texts;
}

std::vector<std::string> PayloadTexts(const absl::Status& status, absl::string_view url) {
  const auto payload = status.GetPayload(url);
  return payload ? SplitTexts(std::string(*payload)) : std::vector<std::string>();
}

}  // namespace

absl::Status WithReason(absl::Status status, absl::string_view reason,
                        const std::map<std::string, std::string>& metadata) {
  std::string payload;
  AppendText(payload, reason);
  for (const auto& [key, value] : metadata) {
    AppendText(payload, key);
    AppendText(payload, value);
  }
  status.SetPayload(kReasonUrl, absl::Cord(payload));
  return status;
}

absl::Status WithFieldViolation(absl::Status status, absl::string_view field,
                                absl::string_view description) {
  const auto earlier = status.GetPayload(kFieldViolationsUrl);
  std::string payload = earlier ? std::string(*earlier) : std::string();
  AppendText(payload, field);
  AppendText(payload, description);
  status.SetPayload(kFieldViolationsUrl, absl::Cord(payload));
  return status;
}

absl::Status WithRetryAfter(absl::Status status, absl::Duration delay) {
  status.SetPayload(kRetryAfterUrl, absl::Cord(absl::StrCat(absl::ToInt64Nanoseconds(delay))));
  return status;
}

absl::Status WithInternalDetail(absl::Status status) {
  status.SetPayload(kInternalDetailUrl, absl::Cord());
  return status;
}

std::optional<ErrorReason> ReasonOf(const absl::Status& status) {
  const std::vector<std::string> texts = PayloadTexts(status, kReasonUrl);
  if (texts.empty()) return std::nullopt;
  ErrorReason reason{.reason = texts[0]};
  for (size_t i = 1; i + 1 < texts.size(); i += 2) reason.metadata[texts[i]] = texts[i + 1];
  return reason;
}

std::vector<FieldViolation> FieldViolationsOf(const absl::Status& status) {
  const std::vector<std::string> texts = PayloadTexts(status, kFieldViolationsUrl);
  std::vector<FieldViolation> violations;
  for (size_t i = 0; i + 1 < texts.size(); i += 2) violations.push_back({texts[i], texts[i + 1]});
  return violations;
}

std::optional<absl::Duration> RetryAfterOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kRetryAfterUrl);
  int64_t nanoseconds = 0;
  if (!payload || !absl::SimpleAtoi(std::string(*payload), &nanoseconds)) return std::nullopt;
  return absl::Nanoseconds(nanoseconds);
}

bool HasInternalDetail(const absl::Status& status) {
  return status.GetPayload(kInternalDetailUrl).has_value();
}

absl::Status Prefix(const absl::Status& status, absl::string_view attempt) {
  if (status.ok()) return status;
  absl::Status prefixed(status.code(), absl::StrCat(attempt, ": ", status.message()));
  status.ForEachPayload(
      [&](absl::string_view url, const absl::Cord& payload) { prefixed.SetPayload(url, payload); });
  return prefixed;
}

}  // namespace coder::status
