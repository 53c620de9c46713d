#include "cli/coderctl/template_policy.h"

#include <google/protobuf/duration.pb.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "cli/coderctl/duration_text.h"
#include "libs/status/status_macros.h"

namespace coder::cli {
namespace {

using google::protobuf::FieldDescriptor;

constexpr const char* kDays[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

absl::Status Refuse(const std::string& name, const std::string& text, absl::string_view accepted) {
  return absl::InvalidArgumentError(absl::StrCat("set --", absl::StrReplaceAll(name, {{"_", "-"}}),
                                                 ": \"", text, "\" cannot be read; use ",
                                                 accepted));
}

std::optional<int> DayOf(absl::string_view text) {
  const auto day = std::find(std::begin(kDays), std::end(kDays), text);
  if (day == std::end(kDays)) return std::nullopt;
  return static_cast<int>(day - std::begin(kDays));
}

// Bit 0 is Monday.
std::optional<int32_t> DaysOf(const std::string& text) {
  if (text == "all") return 127;
  if (text == "none") return 0;
  int32_t days = 0;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    const std::vector<std::string> ends = absl::StrSplit(part, '-');
    const auto first = DayOf(ends.front());
    const auto last = DayOf(ends.back());
    if (!first || !last || ends.size() > 2 || *first > *last) return std::nullopt;
    for (int day = *first; day <= *last; ++day) days |= 1 << day;
  }
  return days;
}

std::string DaysText(int32_t days) {
  if (days == 127) return "all";
  std::vector<std::string> names;
  for (int day = 0; day < 7; ++day) {
    if ((days >> day & 1) != 0) names.emplace_back(kDays[day]);
  }
  return names.empty() ? "none" : absl::StrJoin(names, ",");
}

absl::Status SetDuration(const std::string& name, const std::string& text,
                         const FieldDescriptor& field, api::v1::Template& target) {
  const auto* reflection = target.GetReflection();
  if (text == "off") {
    reflection->ClearField(&target, &field);
    return absl::OkStatus();
  }
  const auto duration = ParseDurationText(text);
  if (!duration.ok()) return Refuse(name, text, "a duration such as 30m or 8h, or off");
  google::protobuf::Duration value;
  value.set_seconds(absl::ToInt64Seconds(*duration));
  reflection->MutableMessage(&target, &field)->CopyFrom(value);
  return absl::OkStatus();
}

absl::Status SetNumber(const std::string& name, const std::string& text,
                       const FieldDescriptor& field, api::v1::Template& target) {
  int32_t value = 0;
  if (absl::EndsWith(name, "_days")) {
    const auto days = DaysOf(text);
    if (!days) return Refuse(name, text, "days such as mon-fri,sun, or all, or none");
    value = *days;
  } else if (!absl::SimpleAtoi(text, &value)) {
    return Refuse(name, text, "a whole number");
  }
  target.GetReflection()->SetInt32(&target, &field, value);
  return absl::OkStatus();
}

}  // namespace

const std::vector<PolicyField>& PolicyFields() {
  static const auto* const fields = new std::vector<PolicyField>{
      {"default_ttl", "Stop this long after a start, unless the owner says otherwise, or off"},
      {"activity_bump", "How far use pushes the deadline, or off"},
      {"allow_user_autostart", "true or false"},
      {"allow_user_autostop", "true or false"},
      {"allow_user_cancel_workspace_jobs", "true or false"},
      {"require_active_version", "true or false"},
      {"autostart_allowed_days", "Such as mon-fri,sun, or all"},
      {"autostart_catch_up", "How late a missed autostart may still run, or off"},
      {"autostart_spread", "Spread autostarts over this long, at most 1h, or off"},
      {"autostart_max_attempts", "Of one autostart while its builds fail, 1 to 10"},
      {"autostart_retry_delay", "After the first failure, 1m to 1h; doubled each time"},
      {"autostop_requirement_days", "Stop in the owner's quiet hours on these days, or none"},
      {"autostop_requirement_weeks", "Every n-th week, 1 to 16"},
      {"autostop_reminder", "Remind by an event this long before a deadline, or off"},
      {"failure_ttl", "Clean up a failed build after this long, or off"},
      {"time_til_dormant", "Unused workspaces become dormant after this long, or off"},
      {"time_til_dormant_autodelete", "Dormant workspaces are deleted after this long, or off"},
      {"deprecation_message", "Why no new workspaces; empty: not deprecated"},
  };
  return *fields;
}

absl::Status SetPolicyField(const std::string& name, const std::string& text,
                            api::v1::Template& target) {
  const FieldDescriptor* field = target.GetDescriptor()->FindFieldByName(name);
  if (field == nullptr) return absl::InternalError(absl::StrCat("no field ", name));
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return SetDuration(name, text, *field, target);
    case FieldDescriptor::CPPTYPE_INT32:
      return SetNumber(name, text, *field, target);
    case FieldDescriptor::CPPTYPE_BOOL:
      if (text != "true" && text != "false") return Refuse(name, text, "true or false");
      target.GetReflection()->SetBool(&target, field, text == "true");
      return absl::OkStatus();
    default:
      target.GetReflection()->SetString(&target, field, text);
      return absl::OkStatus();
  }
}

std::string PolicyFieldText(const std::string& name, const api::v1::Template& source) {
  const FieldDescriptor* field = source.GetDescriptor()->FindFieldByName(name);
  if (field == nullptr) return "";
  const auto* reflection = source.GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE: {
      google::protobuf::Duration value;
      value.CopyFrom(reflection->GetMessage(source, field));
      return value.seconds() == 0 ? "off" : absl::FormatDuration(absl::Seconds(value.seconds()));
    }
    case FieldDescriptor::CPPTYPE_INT32: {
      const int32_t value = reflection->GetInt32(source, field);
      return absl::EndsWith(name, "_days") ? DaysText(value) : absl::StrCat(value);
    }
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection->GetBool(source, field) ? "true" : "false";
    default:
      return reflection->GetString(source, field);
  }
}

}  // namespace coder::cli
