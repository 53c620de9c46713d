#include "cli/coderctl/variables_file.h"

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"

namespace coder::cli {

absl::StatusOr<VariableValues> ParseVariables(const std::string& path, const std::string& text) {
  const auto parsed = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat("read variables file ", path,
                     ": it is not a JSON object; write it as {\"name\": \"value\"}"));
  }
  VariableValues values;
  for (const auto& [name, value] : parsed.items()) {
    if (value.is_null()) {
      return absl::InvalidArgumentError(
          absl::StrCat("read variables file ", path, ": \"", name,
                       "\" is null; give it a value or leave it out"));
    }
    values[name] = value.is_string() ? value.get<std::string>() : value.dump();
  }
  return values;
}

absl::StatusOr<VariableValues> ReadVariablesFile(const std::string& path) {
  std::ifstream in(path);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (in.bad() || !in.is_open()) {
    return absl::NotFoundError(absl::StrCat("read variables file ", path,
                                            ": there is no such file, or you may not read it"));
  }
  return ParseVariables(path, text);
}

}  // namespace coder::cli
