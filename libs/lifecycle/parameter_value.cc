#include "libs/lifecycle/parameter_value.h"

#include <re2/re2.h>

#include <algorithm>
#include <cmath>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace coder::lifecycle {
namespace {

// Reads the strings of a JSON array. Libraries for JSON belong to other rooms, and one array of
// strings is all that a parameter may hold.
class ListReader {
 public:
  explicit ListReader(absl::string_view text) : rest_(text) {}

  std::optional<std::vector<std::string>> Read() {
    std::vector<std::string> values;
    if (!Take('[')) return std::nullopt;
    if (!Take(']')) {
      do {
        std::optional<std::string> value = ReadString();
        if (!value) return std::nullopt;
        values.push_back(*std::move(value));
      } while (Take(','));
      if (!Take(']')) return std::nullopt;
    }
    SkipSpace();
    if (!rest_.empty()) return std::nullopt;
    return values;
  }

 private:
  void SkipSpace() {
    while (!rest_.empty() && absl::StrContains(" \t\r\n", rest_[0])) rest_.remove_prefix(1);
  }

  bool Take(char c) {
    SkipSpace();
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  std::optional<std::string> ReadString() {
    if (!Take('"')) return std::nullopt;
    std::string value;
    while (!rest_.empty()) {
      const char c = rest_[0];
      rest_.remove_prefix(1);
      if (c == '"') return value;
      if (static_cast<unsigned char>(c) < 0x20) return std::nullopt;
      if (c != '\\') {
        value.push_back(c);
      } else if (!ReadEscape(value)) {
        return std::nullopt;
      }
    }
    return std::nullopt;
  }

  bool ReadEscape(std::string& value) {
    if (rest_.empty()) return false;
    const char c = rest_[0];
    rest_.remove_prefix(1);
    constexpr absl::string_view kEscapes = "\"\\/bfnrt";
    constexpr absl::string_view kMeanings = "\"\\/\b\f\n\r\t";
    if (const size_t at = kEscapes.find(c); at != absl::string_view::npos) {
      value.push_back(kMeanings[at]);
      return true;
    }
    return c == 'u' && ReadCodePoint(value);
  }

  std::optional<uint32_t> ReadHex() {
    if (rest_.size() < 4) return std::nullopt;
    uint32_t unit = 0;
    for (char c : rest_.substr(0, 4)) {
      if (!absl::ascii_isxdigit(c)) return std::nullopt;
      const int digit = absl::ascii_isdigit(c) ? c - '0' : absl::ascii_tolower(c) - 'a' + 10;
      unit = unit << 4 | static_cast<uint32_t>(digit);
    }
    rest_.remove_prefix(4);
    return unit;
  }

  bool ReadCodePoint(std::string& value) {
    std::optional<uint32_t> unit = ReadHex();
    if (!unit || (*unit >= 0xdc00 && *unit < 0xe000)) return false;
    uint32_t code = *unit;
    if (code >= 0xd800 && code < 0xdc00) {
      if (!absl::StartsWith(rest_, "\\u")) return false;
      rest_.remove_prefix(2);
      unit = ReadHex();
      if (!unit || *unit < 0xdc00 || *unit >= 0xe000) return false;
      code = 0x10000 + ((code - 0xd800) << 10) + (*unit - 0xdc00);
    }
    AppendUtf8(code, value);
    return true;
  }

  static void AppendUtf8(uint32_t code, std::string& value) {
    if (code < 0x80) {
      value.push_back(static_cast<char>(code));
      return;
    }
    const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    constexpr uint8_t kLead[] = {0, 0xc0, 0xe0, 0xf0};
    value.push_back(static_cast<char>(kLead[more] | code >> (6 * more)));
    for (int i = more - 1; i >= 0; --i) {
      value.push_back(static_cast<char>(0x80 | (code >> (6 * i) & 0x3f)));
    }
  }

  absl::string_view rest_;
};

std::optional<std::string> FaultOfType(ParameterType type, absl::string_view value) {
  switch (type) {
    case ParameterType::kString:
      return std::nullopt;
    case ParameterType::kNumber:
      if (ReadNumber(value)) return std::nullopt;
      return "is not a number; write it in decimal, such as 4 or 0.5";
    case ParameterType::kBool:
      if (value == "true" || value == "false") return std::nullopt;
      return "is neither true nor false; use one of them";
    case ParameterType::kListOfStrings:
      if (ReadListOfStrings(value)) return std::nullopt;
      return "is not a JSON array of strings; write it like [\"a\",\"b\"]";
  }
  return std::nullopt;
}

std::optional<std::string> FaultOfOptions(const ParameterDefinition& definition,
                                          absl::string_view value) {
  if (definition.options.empty()) return std::nullopt;
  const auto allowed = [&](absl::string_view element) {
    return absl::c_any_of(definition.options,
                          [&](const std::string& option) { return element == option; });
  };
  const bool fits = definition.type == ParameterType::kListOfStrings
                        ? absl::c_all_of(*ReadListOfStrings(value), allowed)
                        : allowed(value);
  if (fits) return std::nullopt;
  return absl::StrCat("is not among the options; use one of: ",
                      absl::StrJoin(definition.options, ", "));
}

std::optional<std::string> FaultOfRegex(const ParameterDefinition& definition,
                                        absl::string_view value) {
  if (definition.validation_regex.empty() || definition.type != ParameterType::kString) {
    return std::nullopt;
  }
  const RE2 regex(definition.validation_regex, RE2::Quiet);
  if (!regex.ok()) {
    return absl::StrCat("cannot be checked, because the template's rule \"",
                        definition.validation_regex,
                        "\" is not a regular expression; ask a template administrator to mend it");
  }
  if (RE2::PartialMatch(re2::StringPiece(value.data(), value.size()), regex)) return std::nullopt;
  if (!definition.validation_error.empty()) return definition.validation_error;
  return absl::StrCat("does not match the template's rule; use a value that matches ",
                      definition.validation_regex);
}

// Terraform lets the message of a rule name the bounds and the value.
std::string Filled(std::string message, const ParameterDefinition& definition,
                   absl::string_view value) {
  const auto text = [](const std::optional<int64_t>& bound) {
    return bound ? absl::StrCat(*bound) : std::string();
  };
  const std::pair<absl::string_view, std::string> holes[] = {
      {"{min}", text(definition.validation_min)},
      {"{max}", text(definition.validation_max)},
      {"{value}", std::string(value)}};
  for (const auto& [hole, filling] : holes) {
    if (const size_t at = message.find(std::string(hole)); at != std::string::npos) {
      message.replace(at, hole.size(), filling);
    }
  }
  return message;
}

std::optional<std::string> FaultOfBounds(const ParameterDefinition& definition,
                                         absl::string_view value) {
  if (definition.type != ParameterType::kNumber) return std::nullopt;
  const double number = *ReadNumber(value);
  const auto& min = definition.validation_min;
  const auto& max = definition.validation_max;
  const bool low = min && number < static_cast<double>(*min);
  const bool high = max && number > static_cast<double>(*max);
  if (!low && !high) return std::nullopt;
  if (!definition.validation_error.empty()) {
    return Filled(definition.validation_error, definition, value);
  }
  return low ? absl::StrCat("is too low; use at least ", *min)
             : absl::StrCat("is too high; use at most ", *max);
}

}  // namespace

std::optional<double> ReadNumber(absl::string_view text) {
  const bool decimal = std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isdigit(c) || absl::StrContains("+-.eE", c);
  });
  double number = 0;
  if (!decimal || !absl::SimpleAtod(text, &number) || !std::isfinite(number)) return std::nullopt;
  return number;
}

std::optional<std::vector<std::string>> ReadListOfStrings(absl::string_view text) {
  return ListReader(text).Read();
}

std::optional<std::string> FaultOf(const ParameterDefinition& definition, absl::string_view value) {
  if (value.size() > kMaxParameterValueBytes) {
    return absl::StrCat("is ", value.size(), " bytes long; use at most ", kMaxParameterValueBytes);
  }
  // Each check relies on the value being of the type.
  if (auto fault = FaultOfType(definition.type, value)) return fault;
  if (auto fault = FaultOfOptions(definition, value)) return fault;
  if (auto fault = FaultOfRegex(definition, value)) return fault;
  return FaultOfBounds(definition, value);
}

}  // namespace coder::lifecycle
