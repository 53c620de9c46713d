#pragma once

#include "coder/api/v1/job.pb.h"
#include "coder/api/v1/provisioner.pb.h"
#include "libs/storage/job_records.h"

namespace coder::api {

/// Jobs, their logs and their daemons as clients see them.
void FillProto(const storage::JobView& view, v1::ProvisionerJob& message);
void FillProto(const storage::StoredLogLine& line, v1::JobLog& message);
void FillProto(const storage::DaemonView& view, v1::ProvisionerDaemon& message);

}  // namespace coder::api
