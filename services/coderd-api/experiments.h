#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace coder::api {

/// The stream of all builds (WatchAllWorkspaceBuilds).
inline constexpr char kWorkspaceBuildUpdates[] = "workspace-build-updates";

/// Something an operator may switch on before it is on for everybody.
struct KnownExperiment {
  absl::string_view name;
  absl::string_view description;
};

/// Every experiment of this version, by name.
const std::vector<KnownExperiment>& KnownExperiments();

/// The experiment of this name, or null.
const KnownExperiment* FindExperiment(absl::string_view name);

/// The names, quoted and separated by commas, for messages.
std::string KnownExperimentNames();

}  // namespace coder::api
