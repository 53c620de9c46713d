#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "services/provisionerd/engine.h"
#include "services/provisionerd/terraform_graph.h"
#include "services/provisionerd/terraform_instances.h"

namespace coder::provisionerd {

// The resources of a plan or state, in the order of `instances`, each with its metadata and the
// agents that run in it: an agent belongs to the resource that uses it in the fewest steps (of
// several, the first by address); apps, scripts and environment belong to the agent they name.
//
// INVALID_ARGUMENT if an agent's name is not letters and digits joined by single hyphens, or
// is there twice (in any case); if an app's slug is not lower-case letters and digits joined by
// single hyphens, or is there twice on one agent; or if an app, script or variable has no agent.
absl::StatusOr<std::vector<Resource>> ResourcesOf(const std::vector<TerraformInstance>& instances,
                                                  const TerraformGraph& graph);

}  // namespace coder::provisionerd
