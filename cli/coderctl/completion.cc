#include "cli/coderctl/completion.h"

#include <functional>
#include <iostream>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "cli/coderctl/command_line.h"

namespace coder::cli {
namespace {

std::vector<std::string> Words(const CLI::App& command) {
  std::vector<std::string> words;
  for (const CLI::App* child : command.get_subcommands({})) words.push_back(child->get_name());
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) words.push_back("--" + name);
  }
  return words;
}

/// Calls `visit` with the path below the root ("templates push", "" for the root) of every command.
void Walk(const CLI::App& command, const std::string& path,
          const std::function<void(const std::string&, const CLI::App&)>& visit) {
  visit(path, command);
  for (const CLI::App* child : command.get_subcommands({})) {
    Walk(*child, path.empty() ? child->get_name() : absl::StrCat(path, " ", child->get_name()),
         visit);
  }
}

std::string BashScript(const CLI::App& root) {
  std::string cases;
  Walk(root, "", [&cases](const std::string& path, const CLI::App& command) {
    absl::StrAppend(&cases, "    '", path, "') words='", absl::StrJoin(Words(command), " "),
                    "' ;;\n");
  });
  return absl::StrCat(
      "_coderctl() {\n"
      "  local path='' words='' word\n"
      "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
      "    [[ $word == -* ]] || path=\"${path:+$path }$word\"\n"
      "  done\n"
      "  case \"$path\" in\n",
      cases,
      "  esac\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
      "}\n"
      "complete -o default -F _coderctl coderctl\n");
}

std::string FishScript(const CLI::App& root) {
  std::string script = "complete -c coderctl -f\n";
  Walk(root, "", [&script](const std::string& path, const CLI::App& command) {
    const std::string condition = path.empty() ? "__fish_use_subcommand"
                                               : absl::StrCat("__fish_seen_subcommand_from ",
                                                              path.substr(path.rfind(' ') + 1));
    for (const CLI::App* child : command.get_subcommands({})) {
      absl::StrAppend(&script, "complete -c coderctl -n '", condition, "' -a ", child->get_name(),
                      " -d '", absl::StrReplaceAll(child->get_description(), {{"'", "\\'"}}),
                      "'\n");
    }
    for (const CLI::Option* option : command.get_options()) {
      for (const std::string& name : option->get_lnames()) {
        absl::StrAppend(&script, "complete -c coderctl -n '", condition, "' -l ", name, "\n");
      }
    }
  });
  return script;
}

}  // namespace

std::string CompletionScript(const CLI::App& root, const std::string& shell) {
  if (shell == "fish") return FishScript(root);
  const std::string bash = BashScript(root);
  return shell == "zsh" ? "autoload -U +X bashcompinit && bashcompinit\n" + bash : bash;
}

void AddCompletionCommand(CLI::App& root, CommandLine& line) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command =
      AddCommand(root, line, "completion", "A completion script for your shell", [&root, shell] {
        std::cout << CompletionScript(root, *shell) << std::flush;
        return absl::OkStatus();
      });
  command->add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->footer("\nExample: source <(coderctl completion bash)");
}

}  // namespace coder::cli
