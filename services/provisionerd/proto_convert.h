#pragma once

#include "absl/status/statusor.h"
#include "coder/provisioner/v1/provisioner.pb.h"
#include "services/provisionerd/job.h"

namespace coder::provisionerd {

/// A job as received. INVALID_ARGUMENT without work or with an unknown transition.
absl::StatusOr<Job> JobFromProto(const provisioner::v1::Job& job);

provisioner::v1::Lease ToProto(const Lease& lease);
provisioner::v1::LogLine ToProto(const TimedLogLine& line);
provisioner::v1::TemplateImportResult ToProto(const ImportResult& result);
provisioner::v1::Resource ToProto(const Resource& resource);

/// The timings of whole stages; those of single resources stay here.
google::protobuf::RepeatedPtrField<provisioner::v1::StageTiming> ToProto(const JobTimings& timings);

}  // namespace coder::provisionerd
