#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/pg/transaction.h"
#include "libs/storage/idempotency.h"

namespace coder::storage {

/// Begins the effect of `key` within `tx`: waits for another transaction with the same key to end,
/// then returns what the first one answered, or nothing when this is the first (or the first for 24
/// hours). Then `tx` must go on to StoreResponse. To be called before any other lock is taken.
/// INVALID_ARGUMENT, reason REQUEST_ID_REUSED and a violation of `request_id`, when the key was
/// used with another request; otherwise as Transaction::Execute. Costs one round trip.
absl::StatusOr<std::optional<std::string>> FindResponse(pg::Transaction& tx, const RequestKey& key);

/// Remembers `response` as the answer to `key`, in the transaction of the effect. Requires that
/// FindResponse returned nothing in `tx`.
absl::Status StoreResponse(pg::Transaction& tx, const RequestKey& key, absl::string_view response);

}  // namespace coder::storage
