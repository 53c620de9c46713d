#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "coder/provisioner/v1/provisioner.pb.h"
#include "libs/crypto/keyring.h"
#include "libs/storage/job_records.h"

namespace coder::api {

/// The provisioner protocol's messages to and from what the store keeps. Those that read a message
/// return INVALID_ARGUMENT with the field for a value it may not have.

/// An introduction; organization, key and tags are those of the caller and are left empty.
absl::StatusOr<storage::DaemonHello> HelloFromProto(
    const provisioner::v1::AcquireJobsRequest::Hello& hello);

/// A job to its runner, its variables opened. FAILED_PRECONDITION or DATA_LOSS as Keyring::Open.
absl::StatusOr<provisioner::v1::Job> JobToProto(const storage::AcquiredJob& job,
                                                absl::Duration lease, const std::string& access_url,
                                                const crypto::Keyring& keyring);

absl::StatusOr<storage::LeaseClaim> ClaimFromProto(const provisioner::v1::Lease& lease,
                                                   lifecycle::OrganizationId organization);

/// Lines longer than a column takes are cut at a character; at most 1,000 lines.
absl::StatusOr<std::vector<storage::JobLogLine>> LogLinesFromProto(
    const provisioner::v1::AppendLogsRequest& request);

/// Cut to what the store takes; INVALID_ARGUMENT without an error unless canceled.
absl::StatusOr<storage::JobFailure> FailureFromProto(
    const provisioner::v1::FailJobRequest& request);

storage::ImportOutcome ImportFromProto(const provisioner::v1::TemplateImportResult& result);

/// The store knows their transition: the build's.
std::vector<storage::ResourceRecord> ResourcesFromProto(
    const provisioner::v1::WorkspaceBuildResult& result);

std::vector<storage::StageTiming> TimingsFromProto(
    const google::protobuf::RepeatedPtrField<provisioner::v1::StageTiming>& timings);

/// What a sealed state is, for Keyring.
inline constexpr absl::string_view kEngineStatePurpose = "engine-state";

}  // namespace coder::api
