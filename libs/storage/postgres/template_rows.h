#pragma once

#include "absl/status/statusor.h"
#include "libs/lifecycle/ids.h"
#include "libs/pg/transaction.h"
#include "libs/storage/template_records.h"

namespace coder::storage {

/// The columns TemplateOf reads, of templates that are not deleted; more conditions on the template
/// `t` and its organization `o` may follow with AND.
#define CODER_TEMPLATE_SQL                                                                   \
  "SELECT t.id, t.organization_id, o.name AS organization_name, t.name, t.display_name,"     \
  " t.description, t.icon, t.provisioner, t.active_version_id, t.created_by, t.default_ttl," \
  " t.activity_bump, t.allow_user_autostart, t.allow_user_autostop,"                         \
  " t.allow_user_cancel_workspace_jobs, t.require_active_version, t.autostart_allowed_days," \
  " t.failure_ttl, t.time_til_dormant, t.time_til_dormant_autodelete, t.autostart_catch_up," \
  " t.autostop_requirement_days, t.autostop_requirement_weeks, t.autostart_spread,"          \
  " t.autostart_max_attempts, t.autostart_retry_delay, t.autostop_reminder,"                 \
  " t.deprecation_message, t.revision, t.created_at, t.updated_at,"                          \
  " (SELECT count(*) FROM workspaces w"                                                      \
  "  WHERE w.template_id = t.id AND w.deleted_at IS NULL)::int AS workspace_count"           \
  " FROM templates t JOIN organizations o ON o.id = t.organization_id"                       \
  " WHERE t.deleted_at IS NULL "

/// A template from a row of CODER_TEMPLATE_SQL.
TemplateRecord TemplateOf(const pg::Result::Row& row);

/// Reads one template. NOT_FOUND when there is none.
absl::StatusOr<TemplateRecord> ReadTemplate(pg::Transaction& tx, lifecycle::TemplateId id);

/// "template <id>" does not exist.
absl::Status NoSuchTemplate(lifecycle::TemplateId id);

}  // namespace coder::storage
