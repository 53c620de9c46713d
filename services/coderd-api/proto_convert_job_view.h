#pragma once

#include "coder/api/v1/job.pb.h"
#include "coder/api/v1/provisioner.pb.h"
#include "libs/storage/job_records.h"

namespace coder::api {

/// Lines of a job's log and provisioner daemons as clients see them; jobs are in proto_convert_job.
void FillProto(const storage::StoredLogLine& line, v1::JobLog& message);
void FillProto(const storage::DaemonView& view, v1::ProvisionerDaemon& message);

}  // namespace coder::api
