#pragma once

namespace coder::storage {

/// Selects the id of each workspace that may be due at $1, by id.
const char* DueWorkspacesSql();

}  // namespace coder::storage
