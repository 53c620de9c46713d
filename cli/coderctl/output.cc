#include "cli/coderctl/output.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <iostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/status/error_reason.h"

namespace coder::cli {
namespace {

absl::Time ToTime(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

std::string Remedy(const absl::Status& status) {
  if (const auto delay = status::RetryAfterOf(status)) {
    return absl::StrCat("try again in ", absl::FormatDuration(*delay));
  }
  switch (status.code()) {
    case absl::StatusCode::kUnauthenticated:
      return "log in with `coderctl login`";
    case absl::StatusCode::kPermissionDenied:
      return "ask an administrator for the right, or use another account";
    case absl::StatusCode::kNotFound:
      return "check the name; `coderctl list` and `coderctl templates list` show what you can see";
    case absl::StatusCode::kUnavailable:
      return "check the URL and that the deployment is up, then try again";
    case absl::StatusCode::kDeadlineExceeded:
      return "try again, or give the call more time with --timeout";
    case absl::StatusCode::kInvalidArgument:
      return "correct the value; `--help` explains each option";
    case absl::StatusCode::kAlreadyExists:
      return "choose another name";
    case absl::StatusCode::kUnimplemented:
      return "the deployment does not know this call; use a coderctl of its version";
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAborted:
      return "look at the current state with `coderctl show`, then try again";
    default:
      return "try again; if it stays, give the administrator the lines above";
  }
}

std::string Cause(const absl::Status& status) {
  std::string cause = absl::StatusCodeToString(status.code());
  if (const auto reason = status::ReasonOf(status)) {
    absl::StrAppend(&cause, " ", reason->reason);
    for (const auto& [key, value] : reason->metadata) absl::StrAppend(&cause, " ", key, "=", value);
  }
  for (const auto& violation : status::FieldViolationsOf(status)) {
    absl::StrAppend(&cause, "\n       ", violation.field, ": ", violation.description);
  }
  return cause;
}

}  // namespace

Table::Table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }

void Table::AddRow(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }

std::string Table::ToString() const {
  std::vector<size_t> widths(rows_.front().size());
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows_) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      absl::StrAppend(&line, Printable(row[i]), std::string(widths[i] - row[i].size() + 2, ' '));
    }
    line.erase(line.find_last_not_of(' ') + 1);
    absl::StrAppend(&text, line, "\n");
  }
  return text;
}

std::string ToJson(const google::protobuf::Message& message, bool compact) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = !compact;
  options.preserve_proto_field_names = true;
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(message, &json, options).ok()) return "{}";
  return json;
}

void Print(OutputFormat format, const Table& table, const google::protobuf::Message& message) {
  if (format == OutputFormat::kJson) {
    std::cout << ToJson(message, /*compact=*/false) << std::flush;
  } else {
    std::cout << table.ToString() << std::flush;
  }
}

std::string FormatTime(const google::protobuf::Timestamp& time, bool is_set) {
  if (!is_set) return "-";
  return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", ToTime(time), absl::UTCTimeZone());
}

std::string FormatAge(const google::protobuf::Timestamp& time, bool is_set, absl::Time now) {
  if (!is_set) return "-";
  const absl::Duration age = now - ToTime(time);
  if (age < absl::Seconds(1)) return "now";
  const std::pair<absl::Duration, const char*> units[] = {{absl::Hours(24), "d"},
                                                          {absl::Hours(1), "h"},
                                                          {absl::Minutes(1), "m"},
                                                          {absl::Seconds(1), "s"}};
  for (const auto& [unit, suffix] : units) {
    if (age >= unit) return absl::StrCat(age / unit, suffix, " ago");
  }
  return "now";
}

std::string Printable(const std::string& text) {
  std::string clean = text;
  for (char& c : clean) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return clean;
}

std::string FormatError(const absl::Status& status) {
  std::string what =
      status.message().empty() ? "the call was refused" : std::string(status.message());
  std::string remedy = Remedy(status);
  // Our messages end in "; <remedy>" where they know one.
  if (const size_t split = what.rfind("; "); split != std::string::npos) {
    remedy = what.substr(split + 2);
    what.resize(split);
  }
  return absl::StrCat("error: ", what, "\ncause: ", Cause(status), "\nfix:   ", remedy, "\n");
}

int ExitCode(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return 0;
    case absl::StatusCode::kInvalidArgument:
      return 2;
    case absl::StatusCode::kNotFound:
      return 3;
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
      return 4;
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kAborted:
      return 5;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kResourceExhausted:
      return 6;
    case absl::StatusCode::kCancelled:
      return 130;
    default:
      return 1;
  }
}

}  // namespace coder::cli
