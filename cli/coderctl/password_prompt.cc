#include "cli/coderctl/password_prompt.h"

#include <termios.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "absl/strings/str_cat.h"

namespace coder::cli {
namespace {

/// Turns terminal echo off for its lifetime.
class SilentTerminal {
 public:
  SilentTerminal() {
    tcgetattr(STDIN_FILENO, &previous_);
    termios silent = previous_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
  }
  ~SilentTerminal() { tcsetattr(STDIN_FILENO, TCSAFLUSH, &previous_); }
  SilentTerminal(const SilentTerminal&) = delete;
  SilentTerminal& operator=(const SilentTerminal&) = delete;

 private:
  termios previous_{};
};

}  // namespace

absl::StatusOr<std::string> AskPassword(const std::string& prompt, bool from_stdin) {
  if (const char* password = std::getenv("CODER_PASSWORD")) return std::string(password);
  std::string line;
  if (from_stdin) {
    std::getline(std::cin, line);
    return line;
  }
  if (isatty(STDIN_FILENO) == 0) {
    return absl::FailedPreconditionError(
        "ask for the password: there is no terminal; use --password-stdin or CODER_PASSWORD");
  }
  std::cerr << prompt << std::flush;
  {
    SilentTerminal silent;
    std::getline(std::cin, line);
  }
  std::cerr << "\n";
  return line;
}

absl::StatusOr<std::string> AskLine(const std::string& prompt, const std::string& option) {
  if (isatty(STDIN_FILENO) == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("ask for ", prompt, ": there is no terminal; use ", option));
  }
  std::cerr << prompt << ": " << std::flush;
  std::string line;
  std::getline(std::cin, line);
  return line;
}

}  // namespace coder::cli
