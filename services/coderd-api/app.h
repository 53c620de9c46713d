#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/clock/clock.h"
#include "libs/server/options.h"
#include "services/coderd-api/config.h"

namespace coder::api {

/// The schema versions this build works with, both included: old and new run side by side during a
/// rolling upgrade.
inline constexpr int kMinSchema = 10;
inline constexpr int kMaxSchema = 99;

/// The composition root: every part of coderd-api, made and joined here and nowhere else.
class App {
 public:
  /// Makes all parts; nothing runs yet and nothing outside is asked. Config and clock must outlive
  /// the app. INVALID_ARGUMENT for a keyring that cannot be read.
  static absl::StatusOr<std::unique_ptr<App>> Create(const Config& config,
                                                     const server::CommandLine& line,
                                                     clock::Clock& clock);
  ~App();
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  /// Serves until a signal; returns the process's exit code.
  int Run();

 private:
  struct Parts;

  explicit App(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

/// Runs the commands that do one thing and end. Returns the process's exit code, its problem
/// logged.
int RunCommand(const Config& config, const std::string& command);

}  // namespace coder::api
