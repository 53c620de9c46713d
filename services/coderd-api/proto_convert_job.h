#pragma once

#include "coder/api/v1/job.pb.h"
#include "libs/storage/job_records.h"
#include "libs/storage/template_records.h"

namespace coder::api {

/// A job as people see it.
v1::ProvisionerJob JobViewToProto(const storage::JobView& job);

/// A resource with its agents and apps; never a secret.
v1::WorkspaceResource ResourceViewToProto(const storage::ResourceView& view);

}  // namespace coder::api
