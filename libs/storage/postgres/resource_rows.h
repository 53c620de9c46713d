#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "libs/lifecycle/ids.h"
#include "libs/pg/transaction.h"
#include "libs/storage/template_records.h"

namespace coder::storage {

/// What the engine said exists at the end of a job: resources by transition, type and name, their
/// agents and apps in display order. Empty for a job without any.
absl::StatusOr<std::vector<ResourceView>> ReadResources(pg::Transaction& tx, lifecycle::JobId job);

}  // namespace coder::storage
