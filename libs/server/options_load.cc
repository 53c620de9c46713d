#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/server/options.h"
#include "libs/server/version.h"

namespace coder::server {
namespace {

// Number of single-character edits between two short words.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0]++;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substitution = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitution});
    }
  }
  return row[b.size()];
}

absl::StatusOr<std::string> ReadWholeFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return absl::NotFoundError("the file cannot be read; check the path and its rights");
  std::stringstream content;
  content << in.rdbuf();
  return content.str();
}

absl::StatusOr<std::string> ScalarText(const YAML::Node& node) {
  if (node.IsScalar()) return node.Scalar();
  if (node.IsNull()) return std::string();
  if (!node.IsSequence()) return absl::InvalidArgumentError("use a plain value or a sequence");
  std::vector<std::string> parts;
  for (const YAML::Node& element : node) {
    if (!element.IsScalar()) return absl::InvalidArgumentError("use a sequence of plain values");
    parts.push_back(element.Scalar());
  }
  return absl::StrJoin(parts, ",");
}

std::string SourceOf(std::string_view option, Origin origin, const std::string& file) {
  switch (origin) {
    case Origin::kFlag:
      return absl::StrCat("flag --", std::string(option));
    case Origin::kEnvironment:
      return absl::StrCat("environment ", EnvironmentName(option));
    case Origin::kFile:
      return absl::StrCat("file ", file);
    case Origin::kDefault:
      break;
  }
  return "default";
}

}  // namespace

struct OptionSet::Sources {
  std::vector<std::string> problems;
  std::vector<std::string> positional;
  std::set<std::string> flags;  // names given on the command line
  bool help = false;
  bool version = false;
  bool print = false;
};

Environment ProcessEnvironment() {
  Environment result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    result[std::string(text.substr(0, equals))] = std::string(text.substr(equals + 1));
  }
  return result;
}

std::string OptionSet::Unknown(std::string_view what, std::string_view name) const {
  std::string nearest;
  size_t best = 4;  // further away than this is no typing mistake
  for (const Option& option : options_) {
    const size_t distance = EditDistance(name, option.name);
    if (distance < best && distance < option.name.size() / 2 + 1) {
      best = distance;
      nearest = option.name;
    }
  }
  return absl::StrCat(
      std::string(what), " is unknown; ",
      nearest.empty() ? std::string("see --help") : absl::StrCat("did you mean ", nearest, "?"));
}

void OptionSet::ReadFlag(std::string_view text, std::optional<std::string_view> next,
                         bool& used_next, Sources& sources) {
  const size_t equals = text.find('=');
  const std::string name(text.substr(0, equals));
  if (name == "help") sources.help = true;
  if (name == "version") sources.version = true;
  if (name == "print-config") sources.print = true;
  if (name == "help" || name == "version" || name == "print-config") return;

  Option* option = Find(name);
  std::string value;
  if (option == nullptr && name.rfind("no-", 0) == 0 && equals == std::string_view::npos) {
    option = Find(name.substr(3));
    if (option != nullptr && !option->is_bool) option = nullptr;
    value = "false";
  } else if (equals != std::string_view::npos) {
    value = text.substr(equals + 1);
  } else if (option != nullptr && option->is_bool) {
    value = "true";
  } else if (option != nullptr && next) {
    value = *next;
    used_next = true;
  } else if (option != nullptr) {
    sources.problems.push_back(
        absl::StrCat("flag --", name, " has no value; use --", name, "=<", option->kind, ">"));
    return;
  }
  if (option == nullptr) {
    sources.problems.push_back(Unknown(absl::StrCat("flag --", name), name));
    return;
  }
  if (!sources.flags.insert(option->name).second) {
    sources.problems.push_back(absl::StrCat("flag --", option->name, " is given twice; keep one"));
    return;
  }
  option->raw = value;
  option->origin = Origin::kFlag;
}

void OptionSet::ReadFlags(int argc, const char* const* argv, Sources& sources) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view text(argv[i]);
    if (text == "--") {
      sources.positional.insert(sources.positional.end(), argv + i + 1, argv + argc);
      return;
    }
    if (text == "-h") {
      sources.help = true;
    } else if (text.rfind("--", 0) == 0) {
      std::optional<std::string_view> next;
      if (i + 1 < argc && std::string_view(argv[i + 1]).rfind("--", 0) != 0) next = argv[i + 1];
      bool used_next = false;
      ReadFlag(text.substr(2), next, used_next, sources);
      if (used_next) ++i;
    } else if (text.size() > 1 && text[0] == '-') {
      sources.problems.push_back(absl::StrCat(
          "flag ", argv[i], " is unknown; flags have two dashes and a long name, see --help"));
    } else {
      sources.positional.emplace_back(text);
    }
  }
}

void OptionSet::ReadEnvironment(const Environment& environment, Sources& sources) {
  for (Option& option : options_) {
    if (sources.flags.count(option.name)) continue;
    auto found = environment.find(EnvironmentName(option.name));
    if (found == environment.end()) continue;
    option.raw = found->second;
    option.origin = Origin::kEnvironment;
  }
}

void OptionSet::ReadFile(Sources& sources) {
  const Option& config = options_.front();
  if (!config.raw || config.raw->empty()) return;
  config_file_ = *config.raw;
  const std::string where =
      absl::StrCat("file ", config_file_, " (from ", SourceOf("config", config.origin, ""), ")");
  auto text = ReadWholeFile(config_file_);
  if (!text.ok()) {
    sources.problems.push_back(absl::StrCat(where, ": ", text.status().message()));
    return;
  }
  YAML::Node root;
  try {
    root = YAML::Load(*text);
  } catch (const YAML::Exception& error) {
    sources.problems.push_back(absl::StrCat(where, " is not YAML: ", error.what()));
    return;
  }
  if (root.IsNull()) return;
  if (!root.IsMap()) {
    sources.problems.push_back(absl::StrCat(where, ": use one `name: value` a line"));
    return;
  }
  std::set<std::string> seen;
  for (const auto& entry : root) {
    auto key = ScalarText(entry.first);
    const std::string name = key.ok() ? *key : std::string("?");
    Option* option = Find(name);
    if (option == nullptr || option == &options_.front()) {
      sources.problems.push_back(Unknown(absl::StrCat("option ", name, " in ", where), name));
      continue;
    }
    if (!seen.insert(name).second) {
      sources.problems.push_back(absl::StrCat(where, ": ", name, " is given twice; keep one"));
      continue;
    }
    auto value = ScalarText(entry.second);
    if (!value.ok()) {
      sources.problems.push_back(absl::StrCat(where, ": ", name, ": ", value.status().message()));
    } else if (!option->raw) {
      option->raw = *value;
      option->origin = Origin::kFile;
    }
  }
}

void OptionSet::ApplySecretFiles(Sources& sources) {
  for (Option& option : options_) {
    if (option.file_twin.empty()) continue;
    const Option& twin = *Find(option.file_twin);
    if (!twin.raw || twin.raw->empty()) continue;
    if (option.raw && option.origin == twin.origin) {
      sources.problems.push_back(
          absl::StrCat("options ", option.name, " and ", twin.name, " are both given (",
                       std::string(OriginName(option.origin)), "); keep one"));
      continue;
    }
    if (option.raw && option.origin > twin.origin) continue;
    auto text = ReadWholeFile(*twin.raw);
    if (!text.ok()) {
      sources.problems.push_back(absl::StrCat("option ", twin.name, " \"", *twin.raw, "\" (",
                                              SourceOf(twin.name, twin.origin, config_file_),
                                              "): ", text.status().message()));
      continue;
    }
    if (!text->empty() && text->back() == '\n') text->pop_back();
    if (!text->empty() && text->back() == '\r') text->pop_back();
    option.raw = std::move(*text);
    option.origin = twin.origin;
  }
}

void OptionSet::Apply(Sources& sources) {
  for (Option& option : options_) {
    if (option.required && (option.raw ? *option.raw : option.fallback).empty()) {
      std::string remedy =
          absl::StrCat("set --", option.name, " or ", EnvironmentName(option.name));
      if (!option.file_twin.empty()) absl::StrAppend(&remedy, ", or --", option.file_twin);
      sources.problems.push_back(absl::StrCat("option ", option.name, " is missing; ", remedy));
      continue;
    }
    if (!option.raw) continue;
    absl::Status set = option.set(*option.raw);
    if (set.ok()) continue;
    sources.problems.push_back(absl::StrCat("option ", option.name, " \"", Shown(option), "\" (",
                                            SourceOf(option.name, option.origin, config_file_),
                                            "): ", set.message()));
  }
}

absl::StatusOr<CommandLine> OptionSet::Load(int argc, const char* const* argv,
                                            const Environment& environment) {
  Sources sources;
  ReadFlags(argc, argv, sources);
  CommandLine result;
  if (sources.help) {
    result.text = Help();
    return result;
  }
  if (sources.version) {
    result.text = absl::StrCat(program_, " ", VersionText(), "\n");
    return result;
  }
  ReadEnvironment(environment, sources);
  ReadFile(sources);
  ApplySecretFiles(sources);
  Apply(sources);

  if (!commands_.empty()) result.command = commands_.front().first;
  if (!sources.positional.empty()) {
    result.command = sources.positional.front();
    result.arguments.assign(sources.positional.begin() + 1, sources.positional.end());
    auto known = [&](const auto& command) { return command.first == result.command; };
    if (std::none_of(commands_.begin(), commands_.end(), known)) {
      sources.problems.push_back(
          absl::StrCat("command \"", result.command, "\" is unknown; see --help"));
    }
  }
  if (sources.problems.empty()) {
    for (const auto& check : checks_) {
      if (auto problem = check()) sources.problems.push_back(*problem);
    }
  }
  if (!sources.problems.empty()) {
    return absl::InvalidArgumentError(absl::StrJoin(sources.problems, "\n"));
  }
  for (const Option& option : options_) {
    result.values.push_back({option.name, Shown(option), option.origin});
  }
  if (sources.print) {
    std::string text;
    for (const ConfigValue& value : result.values) {
      absl::StrAppend(&text, value.name, ": ", value.value, "  # ",
                      std::string(OriginName(value.origin)), "\n");
    }
    result.text = std::move(text);
  }
  return result;
}

}  // namespace coder::server
