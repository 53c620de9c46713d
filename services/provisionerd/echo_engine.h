#pragma once

#include "libs/clock/clock.h"
#include "services/provisionerd/engine.h"

namespace coder::provisionerd {

// Gives canned answers from `echo.json` in the template, so that everything around an engine can be
// tested and loaded without infrastructure. Every member is optional:
//
//   {
//     "readme": "text",
//     "workspace_tags": {"cluster": "dev"},
//     "parameters": [{"name", "display_name", "description", "type", "mutable", "required",
//                     "ephemeral", "default", "icon", "order", "form_type",
//                     "options": [{"name", "description", "value", "icon"}],
//                     "validation": {"regex", "error", "min", "max", "monotonic"}}],
//     "variables": [{"name", "description", "type", "default", "required", "sensitive"}],
//     "resources": [{"name", "type", "icon", "daily_cost",
//                    "agents": [{"id", "name", "token", "os", "arch",
//                                "apps": [{"slug", "display_name", "url"}]}]}],
//     "import": STEP, "start": STEP, "stop": STEP, "delete": STEP
//   }
//
// A STEP is {"delay_ms": 0, "log": ["line"], "error": "text", "fail_percent": 100, "state":
// "text"}: its lines are logged with the delay spread evenly between them; with an "error" it then
// fails in `fail_percent` of 100 builds, chosen by a hash of the build's id, so that a build fails
// again when it is repeated. The state after a step is its "state", else
// {"workspace":…,"build":…,"transition":…}, also after a failure. A step that is not there
// succeeds at once. After "start" the answer holds all "resources", after "stop" those of type
// "echo_persistent", after "delete" none.
class EchoEngine final : public Engine {
 public:
  // `clock` must outlive the engine; its monotonic time is what delays wait for.
  explicit EchoEngine(clock::Clock& clock) : clock_(clock) {}

  // INVALID_ARGUMENT if echo.json is missing or is not a JSON object.
  absl::StatusOr<ImportResult> Import(const ImportRequest& request,
                                      const EngineContext& context) override;
  absl::StatusOr<BuildResult> Build(const BuildRequest& request,
                                    const EngineContext& context) override;

 private:
  clock::Clock& clock_;
};

}  // namespace coder::provisionerd
