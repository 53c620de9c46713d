#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "services/provisionerd/engine.h"

namespace coder::provisionerd {

// The members of echo.json (see echo_engine.h) in domain words.

std::vector<RichParameter> EchoParameters(const nlohmann::json& answers);
std::vector<TemplateVariable> EchoVariables(const nlohmann::json& answers);

// The resources that exist after `transition`.
std::vector<Resource> EchoResources(const nlohmann::json& answers, Transition transition);

}  // namespace coder::provisionerd
