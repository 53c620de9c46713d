#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/auth/policy.h"
#include "libs/storage/workspace_store.h"
#include "services/coderd-api/call.h"

namespace coder::api {

/// How messages name the workspace a request named: `workspace "dev"`.
std::string WorkspaceWords(absl::string_view workspace);

/// The workspace as the policy sees it.
auth::ObjectRef RefOf(const storage::WorkspaceRecord& workspace);

/// What was found, but that an absent object reads like a hidden one.
template <typename T>
absl::StatusOr<T> AsAbsent(absl::StatusOr<T> found, absl::string_view words) {
  if (absl::IsNotFound(found.status())) return auth::NotFound(words);
  return found;
}

/// The workspace, which must not be deleted, of the id in a request's `field`, when the caller may
/// do `action` to it; else as Authorize. INVALID_ARGUMENT, with a violation, for a text that is no
/// id.
absl::StatusOr<storage::WorkspaceRecord> LoadWorkspace(storage::WorkspaceStore& workspaces,
                                                       const CallContext& call,
                                                       absl::string_view field,
                                                       const std::string& id, auth::Action action);

}  // namespace coder::api
