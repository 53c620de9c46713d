#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace coder::cli {

/// A completion script for "bash", "zsh" or "fish" made from the command tree.
std::string CompletionScript(const CLI::App& root, const std::string& shell);

}  // namespace coder::cli
