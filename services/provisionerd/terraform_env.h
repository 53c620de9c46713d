#pragma once

#include <string>
#include <vector>

#include "services/provisionerd/engine.h"

namespace coder::provisionerd {

// Where an engine finds its things; absolute but for `data_dir`.
struct TerraformPlaces {
  // Directories searched for programs that templates run.
  std::string path;
  // The CLI configuration (provider mirrors); empty for none.
  std::string cli_config;
  std::string home;
  std::string tmp;
  // Providers and modules of the working directory, as seen from there.
  std::string data_dir;
};

// What a run is about, as the coder provider reads it.
struct TerraformInputs {
  Transition transition = Transition::kStart;
  const BuildMetadata* metadata = nullptr;
  const std::vector<NamedValue>* parameters = nullptr;
  const std::vector<NamedValue>* previous_parameters = nullptr;
  const std::vector<NamedValue>* variables = nullptr;
};

// The variable in which the coder provider looks for a parameter's value:
// "CODER_PARAMETER_" and the SHA-256 of the name in hex.
std::string ParameterVariable(const std::string& parameter_name);

// The whole environment of an engine as NAME=VALUE. Depends on the arguments alone: nothing of this
// process's environment is passed on.
std::vector<std::string> TerraformEnvironment(const TerraformPlaces& places,
                                              const TerraformInputs& inputs);

// The values in `inputs` that must not appear in a log.
std::vector<std::string> SecretsOf(const TerraformInputs& inputs);

}  // namespace coder::provisionerd
