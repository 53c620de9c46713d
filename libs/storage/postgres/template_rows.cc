#include "libs/storage/postgres/template_rows.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "libs/auth/policy.h"
#include "libs/status/status_macros.h"
#include "libs/storage/postgres/job_rows.h"

namespace coder::storage {
namespace {

constexpr char kOne[] = CODER_TEMPLATE_SQL "AND t.id = $1";

lifecycle::WorkspacePolicy PolicyOf(const pg::Result::Row& row) {
  const auto optional_duration = [&row](std::string_view column) {
    return row.Get<std::optional<absl::Duration>>(column);
  };
  lifecycle::WorkspacePolicy policy;
  policy.default_ttl = optional_duration("default_ttl");
  policy.activity_bump = row.Get<absl::Duration>("activity_bump");
  policy.allow_user_autostart = row.Get<bool>("allow_user_autostart");
  policy.allow_user_autostop = row.Get<bool>("allow_user_autostop");
  policy.allow_user_cancel_workspace_jobs = row.Get<bool>("allow_user_cancel_workspace_jobs");
  policy.require_active_version = row.Get<bool>("require_active_version");
  policy.autostart_allowed_days = row.Get<int32_t>("autostart_allowed_days");
  policy.failure_ttl = optional_duration("failure_ttl");
  policy.time_til_dormant = optional_duration("time_til_dormant");
  policy.time_til_dormant_autodelete = optional_duration("time_til_dormant_autodelete");
  policy.autostart_catch_up = row.Get<absl::Duration>("autostart_catch_up");
  policy.autostop_requirement_days = row.Get<int32_t>("autostop_requirement_days");
  policy.autostop_requirement_weeks = row.Get<int32_t>("autostop_requirement_weeks");
  policy.autostart_spread = row.Get<absl::Duration>("autostart_spread");
  policy.autostart_max_attempts = row.Get<int32_t>("autostart_max_attempts");
  policy.autostart_retry_delay = row.Get<absl::Duration>("autostart_retry_delay");
  policy.autostop_reminder = optional_duration("autostop_reminder");
  policy.deprecation_message = row.Get<std::string>("deprecation_message");
  return policy;
}

}  // namespace

TemplateRecord TemplateOf(const pg::Result::Row& row) {
  const auto text = [&row](std::string_view column) { return row.Get<std::string>(column); };
  TemplateRecord record;
  record.id = IdFromColumn<lifecycle::TemplateId>(text("id"));
  record.organization = IdFromColumn<lifecycle::OrganizationId>(text("organization_id"));
  record.organization_name = text("organization_name");
  record.provisioner = text("provisioner");
  record.active_version = IdFromColumn<lifecycle::TemplateVersionId>(text("active_version_id"));
  record.creator = IdFromColumn<lifecycle::UserId>(text("created_by"));
  record.settings.name = text("name");
  record.settings.display_name = text("display_name");
  record.settings.description = text("description");
  record.settings.icon = text("icon");
  record.settings.policy = PolicyOf(row);
  record.workspace_count = row.Get<int32_t>("workspace_count");
  record.created_at = row.Get<absl::Time>("created_at");
  record.updated_at = row.Get<absl::Time>("updated_at");
  record.revision = row.Get<int64_t>("revision");
  return record;
}

absl::Status NoSuchTemplate(lifecycle::TemplateId id) {
  return auth::NotFound(absl::StrCat("template ", id.ToString()));
}

absl::StatusOr<TemplateRecord> ReadTemplate(pg::Transaction& tx, lifecycle::TemplateId id) {
  ASSIGN_OR_RETURN(const pg::Result found, tx.Execute(kOne, {id.ToString()}));
  if (found.empty()) return NoSuchTemplate(id);
  return TemplateOf(found[0]);
}

}  // namespace coder::storage
