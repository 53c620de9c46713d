#include "services/coderd-api/proto_convert_job.h"

#include "libs/events/build_enums.h"
#include "libs/events/proto_time.h"

namespace coder::api {
namespace {

v1::JobType TypeToProto(lifecycle::JobType type) {
  switch (type) {
    case lifecycle::JobType::kTemplateVersionImport:
      return v1::JOB_TYPE_TEMPLATE_VERSION_IMPORT;
    case lifecycle::JobType::kWorkspaceBuild:
      return v1::JOB_TYPE_WORKSPACE_BUILD;
    case lifecycle::JobType::kTemplateVersionDryRun:
      break;
  }
  return v1::JOB_TYPE_UNSPECIFIED;
}

void AppToProto(const storage::AppRecord& app, v1::WorkspaceApp* proto) {
  proto->set_slug(app.slug);
  proto->set_display_name(app.display_name);
  proto->set_url(app.url);
  proto->set_command(app.command);
  proto->set_icon(app.icon);
  proto->set_sharing_level(app.sharing_level);
  proto->set_external(app.external);
  proto->set_hidden(app.hidden);
}

void AgentToProto(const storage::AgentView& view, v1::WorkspaceAgent* proto) {
  proto->set_id(view.id.ToString());
  proto->set_name(view.agent.name);
  proto->set_operating_system(view.agent.operating_system);
  proto->set_architecture(view.agent.architecture);
  proto->set_directory(view.agent.directory);
  for (const storage::AppRecord& app : view.agent.apps) AppToProto(app, proto->add_apps());
}

}  // namespace

v1::ProvisionerJob JobViewToProto(const storage::JobView& job) {
  v1::ProvisionerJob proto;
  proto.set_id(job.id.ToString());
  proto.set_type(TypeToProto(job.type));
  proto.set_status(events::ToProto(job.status));
  proto.set_organization_id(job.organization.ToString());
  proto.set_initiator_id(job.initiator.ToString());
  proto.set_provisioner(job.provisioner);
  proto.mutable_tags()->insert(job.tags.begin(), job.tags.end());
  *proto.mutable_create_time() = events::ToProto(job.created_at);
  if (job.started_at) *proto.mutable_start_time() = events::ToProto(*job.started_at);
  if (job.canceled_at) *proto.mutable_cancel_time() = events::ToProto(*job.canceled_at);
  if (job.completed_at) *proto.mutable_complete_time() = events::ToProto(*job.completed_at);
  proto.set_error(job.error);
  proto.set_error_code(job.error_code);
  if (job.worker) proto.set_worker_id(job.worker->ToString());
  proto.set_worker_name(job.worker_name);
  proto.set_logs_overflowed(job.logs_overflowed);
  proto.set_matching_provisioners(job.matching_provisioners);
  if (job.version) proto.set_template_version_id(job.version->ToString());
  if (job.build) proto.set_build_id(job.build->ToString());
  return proto;
}

v1::WorkspaceResource ResourceViewToProto(const storage::ResourceView& view) {
  v1::WorkspaceResource proto;
  proto.set_id(view.id.ToString());
  proto.set_transition(events::ToProto(view.resource.transition));
  proto.set_type(view.resource.type);
  proto.set_name(view.resource.name);
  proto.set_hide(view.resource.hide);
  proto.set_icon(view.resource.icon);
  proto.set_daily_cost(view.resource.daily_cost);
  for (const storage::MetadataRecord& entry : view.resource.metadata) {
    v1::WorkspaceResourceMetadata* metadata = proto.add_metadata();
    metadata->set_key(entry.key);
    if (!entry.sensitive) metadata->set_value(entry.value);
    metadata->set_sensitive(entry.sensitive);
  }
  for (const storage::AgentView& agent : view.agents) AgentToProto(agent, proto.add_agents());
  return proto;
}

}  // namespace coder::api
