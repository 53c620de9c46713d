#include "services/coderd-api/proto_convert_job_view.h"

#include <string>

#include "libs/events/proto_time.h"

namespace coder::api {
namespace {

v1::LogLevel LevelToProto(storage::LogLevel level) {
  switch (level) {
    case storage::LogLevel::kTrace:
      return v1::LOG_LEVEL_TRACE;
    case storage::LogLevel::kDebug:
      return v1::LOG_LEVEL_DEBUG;
    case storage::LogLevel::kInfo:
      return v1::LOG_LEVEL_INFO;
    case storage::LogLevel::kWarn:
      return v1::LOG_LEVEL_WARN;
    case storage::LogLevel::kError:
      return v1::LOG_LEVEL_ERROR;
  }
  return v1::LOG_LEVEL_UNSPECIFIED;
}

v1::ProvisionerDaemonStatus StatusToProto(const storage::DaemonView& view) {
  if (!view.online) return v1::PROVISIONER_DAEMON_STATUS_OFFLINE;
  return view.running_jobs > 0 ? v1::PROVISIONER_DAEMON_STATUS_BUSY
                               : v1::PROVISIONER_DAEMON_STATUS_IDLE;
}

}  // namespace

void FillProto(const storage::StoredLogLine& line, v1::JobLog& message) {
  message.set_id(line.id);
  *message.mutable_time() = events::ToProto(line.line.time);
  message.set_level(LevelToProto(line.line.level));
  message.set_stage(line.line.stage);
  message.set_output(line.line.output);
}

void FillProto(const storage::DaemonView& view, v1::ProvisionerDaemon& message) {
  message.set_id(view.id.ToString());
  message.set_organization_id(view.organization.ToString());
  message.set_name(view.name);
  message.set_version(view.version);
  for (const std::string& provisioner : view.provisioners) message.add_provisioners(provisioner);
  message.mutable_tags()->insert(view.tags.begin(), view.tags.end());
  message.set_slots(view.slots);
  message.set_running_jobs(view.running_jobs);
  message.set_status(StatusToProto(view));
  *message.mutable_create_time() = events::ToProto(view.created_at);
  *message.mutable_last_seen_time() = events::ToProto(view.last_seen_at);
  message.set_key_name(view.key_name);
}

}  // namespace coder::api
