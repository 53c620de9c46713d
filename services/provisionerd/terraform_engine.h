#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "libs/clock/clock.h"
#include "services/provisionerd/engine.h"
#include "services/provisionerd/init_cache.h"
#include "services/provisionerd/terraform_session.h"

namespace coder::provisionerd {

// Runs OpenTofu or Terraform. Commands see only the environment that their request describes.
class TerraformEngine final : public Engine {
 public:
  // `clock` and `init_cache`, if there is one, must outlive the engine. INVALID_ARGUMENT if a path
  // is not absolute, NOT_FOUND if the engine is not an executable file or the CLI configuration is
  // not readable.
  static absl::StatusOr<std::unique_ptr<TerraformEngine>> Create(TerraformConfig config,
                                                                 clock::Clock& clock,
                                                                 InitCache* init_cache = nullptr);

  absl::StatusOr<ImportResult> Import(const ImportRequest& request,
                                      const EngineContext& context) override;

  // A delete without a previous state succeeds without running anything.
  absl::StatusOr<BuildResult> Build(const BuildRequest& request,
                                    const EngineContext& context) override;

 private:
  TerraformEngine(TerraformConfig config, clock::Clock& clock, InitCache* init_cache)
      : config_(std::move(config)), clock_(clock), init_cache_(init_cache) {}

  const TerraformConfig config_;
  clock::Clock& clock_;
  InitCache* const init_cache_;
};

}  // namespace coder::provisionerd
