#pragma once

#include "absl/status/status.h"
#include "services/provisionerd/engine.h"
#include "services/provisionerd/terraform_instances.h"

namespace coder::provisionerd {

// The parts of a workspace as the coder provider's resources describe them.

Agent AgentOf(const TerraformInstance& instance);
WorkspaceApp AppOf(const TerraformInstance& instance);
Script ScriptOf(const TerraformInstance& instance);
std::vector<ResourceMetadata> MetadataOf(const TerraformInstance& instance);

// INVALID_ARGUMENT, as ResourcesOf says, with the resource's address and what to write instead.
absl::Status CheckAgentName(const TerraformInstance& instance);
absl::Status CheckAppSlug(const TerraformInstance& instance);

}  // namespace coder::provisionerd
