#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/server/secret.h"

namespace coder::server {

// Where the value of an option came from; a later one beats an earlier one.
enum class Origin { kDefault, kFile, kEnvironment, kFlag };

// "default", "file", "environment", "flag".
std::string_view OriginName(Origin origin);

// One option as it may be shown: secrets are masked already.
struct ConfigValue {
  std::string name;
  std::string value;
  Origin origin = Origin::kDefault;
};

// What a command line asked for.
struct CommandLine {
  std::string command;                 // the default command when none was given
  std::vector<std::string> arguments;  // what follows the command
  std::vector<ConfigValue> values;     // every option, in order of registration
  // Set by --help, --version and --print-config: print it on stdout and exit 0.
  std::optional<std::string> text;
};

using Environment = std::map<std::string, std::string>;

// The variables of this process.
Environment ProcessEnvironment();

// The options of one program: each has a name (`grpc-listen`), an environment twin
// (`CODER_GRPC_LISTEN`), a key of the same name in the file given by --config, and as default what
// its target holds when it is registered. Register everything, then call Load once. Targets must
// outlive the call. Not thread safe; used by main before threads start.
class OptionSet {
 public:
  // `summary` is one sentence for --help.
  OptionSet(std::string program, std::string summary);

  // The following options appear under this heading in --help.
  void Group(std::string title);

  void Text(std::string name, std::string* target, std::string help);
  // One of `choices`.
  void Choice(std::string name, std::string* target, std::vector<std::string> choices,
              std::string help);
  // A whole number, both ends included.
  template <std::integral T>
  void Integer(std::string name, T* target, T min, T max, std::string help) {
    AddInteger(std::move(name), *target, min, max, std::move(help),
               [target](int64_t value) { *target = static_cast<T>(value); });
  }
  void Bool(std::string name, bool* target, std::string help);
  // As in 250ms, 1m30s, 2h; never below `min`.
  void Duration(std::string name, absl::Duration* target, absl::Duration min, std::string help);
  // Separated by commas (or a YAML sequence); empty elements are refused.
  void List(std::string name, std::vector<std::string>* target, std::string help);
  // host:port, [ipv6]:port or :port; the port is 0 to 65535.
  void HostPort(std::string name, std::string* target, std::string help);
  // The text itself, or with `--<name>-file` the path of a file holding it (one final line end is
  // dropped). Both at the same rank are a problem; otherwise the higher rank wins.
  void SecretText(std::string name, Secret* target, std::string help);

  // The last registered option must be given and not be empty.
  void Required();
  // The last registered option is shown as "***" although its target is a plain string.
  void Masked();
  // A rule over several options, run when each by itself is right; returns the problem, if any.
  void Check(std::function<std::optional<std::string>()> rule);

  // A positional command; the first registered is the default.
  void Command(std::string name, std::string help);
  // A line for the end of --help.
  void Example(std::string line);

  // Fills the targets from flags > environment > file > default. INVALID_ARGUMENT lists all
  // problems, one a line, each with option, value, source and remedy; targets are then unspecified.
  absl::StatusOr<CommandLine> Load(int argc, const char* const* argv,
                                   const Environment& environment);

  // The text of --help.
  std::string Help() const;

 private:
  struct Option {
    std::string name;
    std::string group;
    std::string help;
    std::string kind;      // for --help, e.g. "duration"
    std::string fallback;  // the default as text
    bool is_bool = false;
    bool secret = false;
    bool required = false;
    bool derived = false;   // the "-file" twin of a secret
    std::string file_twin;  // of a secret
    std::optional<std::string> raw;
    Origin origin = Origin::kDefault;
    std::function<absl::Status(const std::string&)> set;
  };

  struct Sources;

  void Add(Option option);
  void AddInteger(std::string name, int64_t value, int64_t min, int64_t max, std::string help,
                  std::function<void(int64_t)> assign);
  Option* Find(std::string_view name);
  std::string Unknown(std::string_view what, std::string_view name) const;
  void ReadFlags(int argc, const char* const* argv, Sources& sources);
  void ReadFlag(std::string_view text, std::optional<std::string_view> next, bool& used_next,
                Sources& sources);
  void ReadEnvironment(const Environment& environment, Sources& sources);
  void ReadFile(Sources& sources);
  void Apply(Sources& sources);
  void ApplySecretFiles(Sources& sources);
  std::string Shown(const Option& option) const;

  std::string program_;
  std::string summary_;
  std::string group_;
  std::string config_file_;
  std::vector<Option> options_;
  std::vector<std::pair<std::string, std::string>> commands_;
  std::vector<std::string> examples_;
  std::vector<std::function<std::optional<std::string>()>> checks_;
};

// The environment twin: CODER_GRPC_LISTEN of grpc-listen.
std::string EnvironmentName(std::string_view option);

// Splits host:port; INVALID_ARGUMENT says what is wrong with it. IPv6 hosts come without brackets.
struct HostAndPort {
  std::string host;
  int port = 0;
};
absl::StatusOr<HostAndPort> ParseHostPort(std::string_view text);

}  // namespace coder::server
