#include "services/coderd-api/experiments.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace coder::api {

const std::vector<KnownExperiment>& KnownExperiments() {
  static const auto* const experiments = new std::vector<KnownExperiment>{
      {kWorkspaceBuildUpdates, "One resumable stream of every state change of every build."},
  };
  return *experiments;
}

const KnownExperiment* FindExperiment(absl::string_view name) {
  for (const KnownExperiment& experiment : KnownExperiments()) {
    if (experiment.name == name) return &experiment;
  }
  return nullptr;
}

std::string KnownExperimentNames() {
  return absl::StrJoin(KnownExperiments(), ", ", [](std::string* out, const KnownExperiment& e) {
    absl::StrAppend(out, "'", e.name, "'");
  });
}

}  // namespace coder::api
