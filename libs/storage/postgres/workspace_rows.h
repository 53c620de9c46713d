#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "libs/pg/result.h"
#include "libs/storage/workspace_records.h"

namespace coder::storage {

/// A statement that reads builds `b` with their workspaces `w`, templates `t` and jobs `j`,
/// followed by `tail` (its WHERE, ORDER BY and LIMIT).
std::string SelectBuilds(absl::string_view tail);

/// A statement that reads workspaces with their latest builds, followed by `tail`, which begins
/// with AND.
std::string SelectWorkspaces(absl::string_view tail);

/// A row of either statement.
BuildRecord BuildOf(const pg::Result::Row& row);
/// A row of SelectWorkspaces.
WorkspaceRecord WorkspaceOf(const pg::Result::Row& row);

}  // namespace coder::storage
