#pragma once

#include "absl/status/statusor.h"
#include "libs/server/loop.h"
#include "libs/storage/expiry_store.h"

namespace coder::api {

/// Forgets a bounded number of rows whose time is over. kMore when as many are left as one pass may
/// take; errors of the store.
absl::StatusOr<server::PassOutcome> RunExpiryPass(storage::ExpiryStore& store);

}  // namespace coder::api
