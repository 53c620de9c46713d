#pragma once

#include <vector>

#include "absl/status/status.h"
#include "libs/ids/uuid.h"
#include "libs/lifecycle/ids.h"
#include "libs/pg/pipeline.h"
#include "libs/storage/job_records.h"

namespace coder::storage {

/// Each appends the statements that store a part of a job's result; nothing for an empty part.
void AddResources(pg::Pipeline& pipeline, lifecycle::JobId job,
                  const std::vector<ResourceRecord>& resources, ids::UuidV7Generator& ids);
void AddTimings(pg::Pipeline& pipeline, lifecycle::JobId job,
                const std::vector<StageTiming>& timings);
void AddParameters(pg::Pipeline& pipeline, lifecycle::TemplateVersionId version,
                   const std::vector<ParameterRecord>& parameters);
/// Values that were given to variables before the import stay.
void AddVariables(pg::Pipeline& pipeline, lifecycle::TemplateVersionId version,
                  const std::vector<VariableRecord>& variables);

}  // namespace coder::storage
