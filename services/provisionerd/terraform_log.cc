#include "services/provisionerd/terraform_log.h"

#include <regex>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "services/provisionerd/json_fields.h"

namespace coder::provisionerd {
namespace {

constexpr std::size_t kMaxDetailBytes = 600;

LogLevel LevelOf(const std::string& name) {
  if (name == "trace") return LogLevel::kTrace;
  if (name == "debug") return LogLevel::kDebug;
  if (name == "warn") return LogLevel::kWarn;
  return name == "error" ? LogLevel::kError : LogLevel::kInfo;
}

std::string PlaceOf(const Json& diagnostic) {
  const Json& range = Field(diagnostic, "range");
  const std::string file = Text(range, "filename");
  if (file.empty()) return "";
  return absl::StrCat(file, ":", Number(Field(range, "start"), "line"));
}

std::string ForPeople(const Json& message, const Json& diagnostic) {
  if (!diagnostic.is_object()) return Text(message, "@message");
  std::string text =
      absl::StrCat(Text(diagnostic, "severity") == "warning" ? "Warning: " : "Error: ",
                   Text(diagnostic, "summary"));
  if (const std::string place = PlaceOf(diagnostic); !place.empty()) {
    absl::StrAppend(&text, "\n  on ", place);
    const std::string context = Text(Field(diagnostic, "snippet"), "context");
    if (!context.empty()) absl::StrAppend(&text, ", in ", context);
    const std::string code = Text(Field(diagnostic, "snippet"), "code");
    if (!code.empty())
      absl::StrAppend(&text, ":\n    ", absl::StrReplaceAll(code, {{"\n", "\n    "}}));
  }
  if (const std::string detail = Text(diagnostic, "detail"); !detail.empty()) {
    absl::StrAppend(&text, "\n", detail);
  }
  return text;
}

}  // namespace

void TerraformLog::RememberError(Problem problem) {
  if (problem.summary == "No value for required variable") {
    const std::vector<std::string> words = absl::StrSplit(problem.detail, '"');
    if (words.size() > 2) missing_variables_.push_back(words[1]);
  }
  if (!first_error_) first_error_ = std::move(problem);
}

void TerraformLog::Line(std::string_view line) {
  const Json message = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!message.is_object() || Text(message, "@message").empty()) {
    PlainLine(line);
    return;
  }
  const Json& diagnostic = Field(message, "diagnostic");
  const std::string type = Text(message, "type");
  const Json& hook = Field(message, "hook");
  if (hook.is_object()) Hook(type, hook);
  if (Text(diagnostic, "severity") == "error") {
    RememberError({PlaceOf(diagnostic), Text(diagnostic, "summary"), Text(diagnostic, "detail")});
  }
  if (type == "outputs") return;
  sink_(LevelOf(Text(message, "@level")), ForPeople(message, diagnostic));
}

void TerraformLog::Hook(const std::string& type, const Json& hook) {
  const std::string address = Text(Field(hook, "resource"), "addr");
  if (type == "apply_start") {
    running_[address] = {.stage = stage_,
                         .resource = address,
                         .action = Text(hook, "action"),
                         .source = Text(Field(hook, "resource"), "implied_provider"),
                         .start = elapsed_()};
    return;
  }
  if (type != "apply_complete" && type != "apply_errored") return;
  const auto it = running_.find(address);
  if (it == running_.end()) return;
  it->second.end = elapsed_();
  if (type == "apply_errored") it->second.state = StageTiming::State::kFailed;
  timings_.push_back(std::move(it->second));
  running_.erase(it);
}

void TerraformLog::PlainLine(std::string_view line) {
  static const std::regex kPlace(R"(^\s*on (.{1,255}) line ([0-9]{1,9}))");
  absl::string_view text = absl::StripAsciiWhitespace(absl::string_view(line.data(), line.size()));
  if (text.empty()) return;
  const bool error = absl::StartsWith(text, "Error: ");
  // Terraform announces the errors that follow with an error that says nothing.
  if (error && first_error_ && absl::StrContains(first_error_->summary, "encountered problems")) {
    first_error_.reset();
  }
  if (error && !first_error_) {
    in_plain_error_ = true;
    RememberError({"", std::string(absl::StripPrefix(text, "Error: ")), ""});
  } else if (error || absl::StartsWith(text, "Warning: ")) {
    in_plain_error_ = false;
  } else if (in_plain_error_) {
    std::match_results<std::string_view::const_iterator> match;
    if (line.size() < 1024 && std::regex_search(line.begin(), line.end(), match, kPlace)) {
      first_error_->place = absl::StrCat(match[1].str(), ":", match[2].str());
    } else if (!absl::ascii_isdigit(static_cast<unsigned char>(text[0]))) {
      absl::StrAppend(&first_error_->detail, first_error_->detail.empty() ? "" : " ", text);
    }
  }
  sink_(error || in_plain_error_ ? LogLevel::kError : LogLevel::kInfo, std::string(line));
}

std::string TerraformLog::FirstError() const {
  if (!first_error_) return "";
  std::string text;
  if (!first_error_->place.empty()) absl::StrAppend(&text, first_error_->place, ": ");
  absl::StrAppend(&text, first_error_->summary);
  const std::string detail =
      absl::StrReplaceAll(first_error_->detail.substr(0, kMaxDetailBytes), {{"\n", " "}});
  if (!detail.empty()) absl::StrAppend(&text, ": ", detail);
  return text;
}

}  // namespace coder::provisionerd
