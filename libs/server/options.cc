#include "libs/server/options.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace coder::server {
namespace {

absl::StatusOr<bool> ParseBool(const std::string& text) {
  const std::string lower = absl::AsciiStrToLower(text);
  if (lower == "true" || lower == "1" || lower == "yes" || lower == "on") return true;
  if (lower == "false" || lower == "0" || lower == "no" || lower == "off") return false;
  return absl::InvalidArgumentError("use true or false");
}

std::string DurationText(absl::Duration d) { return absl::FormatDuration(d); }

}  // namespace

std::string_view OriginName(Origin origin) {
  switch (origin) {
    case Origin::kDefault:
      return "default";
    case Origin::kFile:
      return "file";
    case Origin::kEnvironment:
      return "environment";
    case Origin::kFlag:
      return "flag";
  }
  return "default";
}

std::string EnvironmentName(std::string_view option) {
  std::string name = "CODER_";
  for (char c : option) name.push_back(c == '-' ? '_' : absl::ascii_toupper(c));
  return name;
}

absl::StatusOr<HostAndPort> ParseHostPort(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return absl::InvalidArgumentError("the port is missing; use host:port");
  }
  HostAndPort result{std::string(text.substr(0, colon)), 0};
  const std::string port(text.substr(colon + 1));
  if (port.empty() || !std::all_of(port.begin(), port.end(), absl::ascii_isdigit) ||
      !absl::SimpleAtoi(port, &result.port) || result.port > 65535) {
    return absl::InvalidArgumentError("the port must be 0 to 65535; use host:port");
  }
  if (!result.host.empty() && result.host.front() == '[' && result.host.back() == ']') {
    result.host = result.host.substr(1, result.host.size() - 2);
  } else if (result.host.find(':') != std::string::npos) {
    return absl::InvalidArgumentError("put brackets around an IPv6 address: [::1]:8080");
  }
  return result;
}

OptionSet::OptionSet(std::string program, std::string summary)
    : program_(std::move(program)), summary_(std::move(summary)) {
  Group("General");
  Text("config", &config_file_, "YAML file with options, one `name: value` a line");
}

void OptionSet::Group(std::string title) { group_ = std::move(title); }

void OptionSet::Add(Option option) {
  option.group = group_;
  options_.push_back(std::move(option));
}

void OptionSet::Text(std::string name, std::string* target, std::string help) {
  Add({.name = std::move(name),
       .help = std::move(help),
       .kind = "text",
       .fallback = *target,
       .set = [target](const std::string& raw) {
         *target = raw;
         return absl::OkStatus();
       }});
}

void OptionSet::Choice(std::string name, std::string* target, std::vector<std::string> choices,
                       std::string help) {
  const std::string kind = absl::StrJoin(choices, "|");
  Add({.name = std::move(name),
       .help = std::move(help),
       .kind = kind,
       .fallback = *target,
       .set = [target, choices = std::move(choices), kind](const std::string& raw) {
         if (std::find(choices.begin(), choices.end(), raw) == choices.end()) {
           return absl::InvalidArgumentError(absl::StrCat("use one of ", kind));
         }
         *target = raw;
         return absl::OkStatus();
       }});
}

void OptionSet::AddInteger(std::string name, int64_t value, int64_t min, int64_t max,
                           std::string help, std::function<void(int64_t)> assign) {
  Add({.name = std::move(name),
       .help = std::move(help),
       .kind = "number",
       .fallback = absl::StrCat(value),
       .set = [min, max, assign = std::move(assign)](const std::string& raw) {
         int64_t number = 0;
         if (!absl::SimpleAtoi(raw, &number) || number < min || number > max) {
           return absl::InvalidArgumentError(
               absl::StrCat("use a whole number from ", min, " to ", max));
         }
         assign(number);
         return absl::OkStatus();
       }});
}

void OptionSet::Bool(std::string name, bool* target, std::string help) {
  Add({.name = std::move(name),
       .help = std::move(help),
       .kind = "bool",
       .fallback = *target ? "true" : "false",
       .is_bool = true,
       .set = [target](const std::string& raw) {
         auto value = ParseBool(raw);
         if (value.ok()) *target = *value;
         return value.status();
       }});
}

void OptionSet::Duration(std::string name, absl::Duration* target, absl::Duration min,
                         std::string help) {
  Add({.name = std::move(name),
       .help = std::move(help),
       .kind = "duration",
       .fallback = DurationText(*target),
       .set = [target, min](const std::string& raw) {
         absl::Duration value;
         if (!absl::ParseDuration(raw, &value) || value == absl::InfiniteDuration()) {
           return absl::InvalidArgumentError(
               "use a duration with its unit, as in 250ms, 1m30s or 2h");
         }
         if (value < min) {
           return absl::InvalidArgumentError(absl::StrCat("use at least ", DurationText(min)));
         }
         *target = value;
         return absl::OkStatus();
       }});
}

void OptionSet::List(std::string name, std::vector<std::string>* target, std::string help) {
  Add({.name = std::move(name),
       .help = std::move(help),
       .kind = "list",
       .fallback = absl::StrJoin(*target, ","),
       .set = [target](const std::string& raw) {
         std::vector<std::string> parts;
         if (!raw.empty()) parts = absl::StrSplit(raw, ',');
         for (std::string& part : parts) {
           absl::StripAsciiWhitespace(&part);
           if (part.empty()) {
             return absl::InvalidArgumentError("an element is empty; use a,b,c");
           }
         }
         *target = std::move(parts);
         return absl::OkStatus();
       }});
}

void OptionSet::HostPort(std::string name, std::string* target, std::string help) {
  Add({.name = std::move(name),
       .help = std::move(help),
       .kind = "host:port",
       .fallback = *target,
       .set = [target](const std::string& raw) {
         auto parsed = ParseHostPort(raw);
         if (parsed.ok()) *target = raw;
         return parsed.status();
       }});
}

void OptionSet::SecretText(std::string name, Secret* target, std::string help) {
  const std::string twin = name + "-file";
  Add({.name = name,
       .help = std::move(help),
       .kind = "secret",
       .fallback = target->Reveal(),
       .secret = true,
       .file_twin = twin,
       .set = [target](const std::string& raw) {
         *target = Secret(raw);
         return absl::OkStatus();
       }});
  Add({.name = twin,
       .help = absl::StrCat("file holding the value of ", name),
       .kind = "path",
       .derived = true,
       .set = [](const std::string&) { return absl::OkStatus(); }});
}

void OptionSet::Required() {
  Option& last = options_.back();
  (last.derived ? options_[options_.size() - 2] : last).required = true;
}

void OptionSet::Masked() { options_.back().secret = true; }

void OptionSet::Check(std::function<std::optional<std::string>()> rule) {
  checks_.push_back(std::move(rule));
}

void OptionSet::Command(std::string name, std::string help) {
  commands_.emplace_back(std::move(name), std::move(help));
}

void OptionSet::Example(std::string line) { examples_.push_back(std::move(line)); }

OptionSet::Option* OptionSet::Find(std::string_view name) {
  for (Option& option : options_) {
    if (option.name == name) return &option;
  }
  return nullptr;
}

std::string OptionSet::Shown(const Option& option) const {
  const std::string& text = option.raw ? *option.raw : option.fallback;
  return option.secret && !text.empty() ? "***" : text;
}

std::string OptionSet::Help() const {
  std::string out = absl::StrCat(program_, ": ", summary_, "\n\nusage: ", program_,
                                 commands_.empty() ? "" : " [command]", " [options]\n");
  if (!commands_.empty()) absl::StrAppend(&out, "\nCommands\n");
  for (size_t i = 0; i < commands_.size(); ++i) {
    absl::StrAppendFormat(&out, "  %-14s %s%s\n", commands_[i].first, commands_[i].second,
                          i == 0 ? " (default)" : "");
  }
  std::string group;
  for (const Option& option : options_) {
    if (option.group != group) absl::StrAppend(&out, "\n", group = option.group, "\n");
    absl::StrAppend(&out, "  --", option.name, "=<", option.kind, ">  [",
                    EnvironmentName(option.name), "]\n      ", option.help);
    if (option.required) absl::StrAppend(&out, " (required)");
    if (!option.fallback.empty()) {
      absl::StrAppend(&out, " (default ", option.secret ? "***" : option.fallback, ")");
    }
    out += "\n";
  }
  absl::StrAppend(&out,
                  "\n  --help  --version  --print-config (every value with its origin)\n"
                  "\nA flag beats the environment variable in brackets, which beats the file "
                  "given by --config,\nwhich beats the default. --name alone sets a bool, "
                  "--no-name clears it.\n");
  if (!examples_.empty()) absl::StrAppend(&out, "\nExamples\n");
  for (const std::string& example : examples_) absl::StrAppend(&out, "  ", example, "\n");
  return out;
}

}  // namespace coder::server
