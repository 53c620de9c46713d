#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "libs/clock/clock.h"
#include "libs/server/options.h"
#include "services/pubsub-relay/config.h"

namespace coder::relay {

// The composition root: every part of pubsub-relay, made and joined here and nowhere else.
class App {
 public:
  // Makes all parts; nothing runs yet and nothing outside is asked. Config and clock must outlive
  // the app.
  static absl::StatusOr<std::unique_ptr<App>> Create(const Config& config,
                                                     const server::CommandLine& line,
                                                     clock::Clock& clock);
  ~App();
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  // Relays until a signal; returns the process's exit code.
  int Run();

 private:
  struct Parts;

  explicit App(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

}  // namespace coder::relay
