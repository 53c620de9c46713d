#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/coderctl/session.h"
#include "coder/api/v1/provisioner.pb.h"
#include "coder/api/v1/watch.pb.h"
#include "coder/api/v1/workspace.pb.h"

namespace coder::cli {

/// What a deployment does at one moment, as far as the caller may see it.
struct DeploymentSample {
  absl::Time time;
  std::string version;
  /// Whose latest build has not ended, the oldest first; at most 500.
  std::vector<api::v1::Workspace> building;
  /// Unfinished jobs of the organizations whose provisioners the caller may see.
  std::vector<api::v1::ProvisionerJob> jobs;
  std::vector<api::v1::ProvisionerDaemon> daemons;
  /// Absent when the caller may not ask.
  std::optional<api::v1::GetBuildStreamStatusResponse> stream;
  /// Why a part is missing or not whole, by its name: builds, queue, provisioners, stream.
  std::map<std::string, absl::Status> missing;
};

/// Asks for all parts at `now`. What the caller has no right to is missing and no error. Errors: of
/// a deployment that cannot be reached, and UNAUTHENTICATED.
absl::StatusOr<DeploymentSample> TakeSample(const Session& session, absl::Time now);

/// What was seen of the stream of events since a view began.
struct SeenEvents {
  int64_t count = 0;
  /// The newest last.
  std::vector<api::v1::WatchedBuildEvent> newest;
  /// Why none can be seen; OK while they can.
  absl::Status status;
};

/// The sample for programs.
nlohmann::ordered_json SampleToJson(const DeploymentSample& sample, const SeenEvents* events);

/// The sample for people, with at most `rows` builds; lines end in "\n", without control characters
/// otherwise.
std::string SampleToText(const DeploymentSample& sample, const SeenEvents* events, size_t rows);

}  // namespace coder::cli
