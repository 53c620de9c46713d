#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "libs/clock/clock.h"
#include "services/provisionerd/engine.h"
#include "services/provisionerd/terraform_session.h"

namespace coder::provisionerd {

// Runs OpenTofu or Terraform. Commands see only the environment that their request describes.
class TerraformEngine final : public Engine {
 public:
  // `clock` must outlive the engine. INVALID_ARGUMENT if a path is not absolute, NOT_FOUND if
  // the engine is not an executable file or the CLI configuration is not readable.
  static absl::StatusOr<std::unique_ptr<TerraformEngine>> Create(TerraformConfig config,
                                                                 clock::Clock& clock);

  absl::StatusOr<ImportResult> Import(const ImportRequest& request,
                                      const EngineContext& context) override;

  // A delete without a previous state succeeds without running anything.
  absl::StatusOr<BuildResult> Build(const BuildRequest& request,
                                    const EngineContext& context) override;

 private:
  TerraformEngine(TerraformConfig config, clock::Clock& clock)
      : config_(std::move(config)), clock_(clock) {}

  const TerraformConfig config_;
  clock::Clock& clock_;
};

}  // namespace coder::provisionerd
