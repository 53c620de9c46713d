#pragma once

#include <string>

namespace coder::storage {

/// Selects the LifecycleRow of each workspace that may be due at $1 with an id above $2, by id, at
/// most $3 of them.
const std::string& CandidatesSql();

/// Selects the LifecycleRow of each workspace of $1, by id.
const std::string& LockedRowsSql();

}  // namespace coder::storage
