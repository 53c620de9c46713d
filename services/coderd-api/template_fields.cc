#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "libs/events/proto_time.h"
#include "services/coderd-api/proto_convert_template.h"
#include "services/coderd-api/request_fields.h"

namespace coder::api {
namespace {

using storage::TemplateSettings;

// One row for each field an update may name.
struct Field {
  absl::string_view path;
  void (*set)(const v1::Template& from, TemplateSettings& to);
};

#define CODER_OPTIONAL_DURATION(field)                                                  \
  {                                                                                     \
#field, [](const v1::Template& from, TemplateSettings& to) {                          \
      to.policy.field = from.has_##field()                                                \
                            ? std::optional(events::FromProto(from.field()))              \
                            : std::nullopt;                                               \
    } \
  }
#define CODER_DURATION(field)                                                               \
  {                                                                                         \
#field, [](const v1::Template& from,                                                    \
               TemplateSettings& to) { to.policy.field = events::FromProto(from.field()); } \
  }
#define CODER_POLICY(field)                                                                        \
  {                                                                                                \
#field, [](const v1::Template& from, TemplateSettings& to) { to.policy.field = from.field(); } \
  }
#define CODER_APPEARANCE(field)                                                             \
  {                                                                                         \
#field, [](const v1::Template& from, TemplateSettings& to) { to.field = from.field(); } \
  }

constexpr Field kFields[] = {
    CODER_APPEARANCE(name),
    CODER_APPEARANCE(display_name),
    CODER_APPEARANCE(description),
    CODER_APPEARANCE(icon),
    CODER_OPTIONAL_DURATION(default_ttl),
    CODER_DURATION(activity_bump),
    CODER_POLICY(allow_user_autostart),
    CODER_POLICY(allow_user_autostop),
    CODER_POLICY(allow_user_cancel_workspace_jobs),
    CODER_POLICY(require_active_version),
    CODER_POLICY(autostart_allowed_days),
    CODER_OPTIONAL_DURATION(failure_ttl),
    CODER_OPTIONAL_DURATION(time_til_dormant),
    CODER_OPTIONAL_DURATION(time_til_dormant_autodelete),
    CODER_DURATION(autostart_catch_up),
    CODER_POLICY(deprecation_message),
    CODER_POLICY(autostop_requirement_days),
    CODER_POLICY(autostop_requirement_weeks),
    CODER_DURATION(autostart_spread),
    CODER_POLICY(autostart_max_attempts),
    CODER_DURATION(autostart_retry_delay),
    CODER_OPTIONAL_DURATION(autostop_reminder),
};

#undef CODER_OPTIONAL_DURATION
#undef CODER_DURATION
#undef CODER_POLICY
#undef CODER_APPEARANCE

#define CODER_DURATION_TO_PROTO(field) \
  if (policy.field) *proto.mutable_##field() = events::ToProto(*policy.field)

void PolicyToProto(const lifecycle::WorkspacePolicy& policy, v1::Template& proto) {
  CODER_DURATION_TO_PROTO(default_ttl);
  CODER_DURATION_TO_PROTO(failure_ttl);
  CODER_DURATION_TO_PROTO(time_til_dormant);
  CODER_DURATION_TO_PROTO(time_til_dormant_autodelete);
  CODER_DURATION_TO_PROTO(autostop_reminder);
  *proto.mutable_autostart_spread() = events::ToProto(policy.autostart_spread);
  *proto.mutable_autostart_retry_delay() = events::ToProto(policy.autostart_retry_delay);
  proto.set_autostop_requirement_days(policy.autostop_requirement_days);
  proto.set_autostop_requirement_weeks(policy.autostop_requirement_weeks);
  proto.set_autostart_max_attempts(policy.autostart_max_attempts);
  *proto.mutable_activity_bump() = events::ToProto(policy.activity_bump);
  *proto.mutable_autostart_catch_up() = events::ToProto(policy.autostart_catch_up);
  proto.set_allow_user_autostart(policy.allow_user_autostart);
  proto.set_allow_user_autostop(policy.allow_user_autostop);
  proto.set_allow_user_cancel_workspace_jobs(policy.allow_user_cancel_workspace_jobs);
  proto.set_require_active_version(policy.require_active_version);
  proto.set_autostart_allowed_days(policy.autostart_allowed_days);
  proto.set_deprecation_message(policy.deprecation_message);
}

#undef CODER_DURATION_TO_PROTO

}  // namespace

absl::Status SetTemplateField(const std::string& path, const v1::Template& from,
                              TemplateSettings& settings) {
  for (const Field& field : kFields) {
    if (field.path != path) continue;
    field.set(from, settings);
    return absl::OkStatus();
  }
  return InvalidField("update_mask",
                      absl::StrCat("\"", path,
                                   "\" is no field that can be changed; use name, "
                                   "display_name, description, icon or a field of the policy"));
}

v1::Template TemplateToProto(const storage::TemplateRecord& record) {
  v1::Template proto;
  proto.set_id(record.id.ToString());
  proto.set_organization_id(record.organization.ToString());
  proto.set_organization_name(record.organization_name);
  proto.set_name(record.settings.name);
  proto.set_display_name(record.settings.display_name);
  proto.set_description(record.settings.description);
  proto.set_icon(record.settings.icon);
  proto.set_provisioner(record.provisioner);
  proto.set_active_version_id(record.active_version.ToString());
  proto.set_creator_id(record.creator.ToString());
  PolicyToProto(record.settings.policy, proto);
  proto.set_workspace_count(record.workspace_count);
  *proto.mutable_create_time() = events::ToProto(record.created_at);
  *proto.mutable_update_time() = events::ToProto(record.updated_at);
  proto.set_etag(EtagOf(record));
  return proto;
}

}  // namespace coder::api
