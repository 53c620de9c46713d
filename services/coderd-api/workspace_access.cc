#include "services/coderd-api/workspace_access.h"

#include "absl/strings/str_cat.h"
#include "libs/status/status_macros.h"
#include "services/coderd-api/request_fields.h"

namespace coder::api {

std::string WorkspaceWords(absl::string_view workspace) {
  return absl::StrCat("workspace \"", workspace, "\"");
}

auth::ObjectRef RefOf(const storage::WorkspaceRecord& workspace) {
  return {.organization_id = workspace.organization, .owner_id = workspace.owner};
}

absl::StatusOr<storage::WorkspaceRecord> LoadWorkspace(storage::WorkspaceStore& workspaces,
                                                       const CallContext& call,
                                                       absl::string_view field,
                                                       const std::string& id, auth::Action action) {
  ASSIGN_OR_RETURN(const auto workspace, IdField<lifecycle::WorkspaceId>(field, id));
  const std::string words = WorkspaceWords(id);
  ASSIGN_OR_RETURN(storage::WorkspaceRecord record,
                   AsAbsent(workspaces.Get(workspace, call.deadline), words));
  call.Concerns("workspace", id, record.name);
  if (record.deleted) return auth::NotFound(words);
  RETURN_IF_ERROR(call.Authorize(action, RefOf(record), words));
  return record;
}

}  // namespace coder::api
