#include "libs/events/poker.h"
#include "libs/storage/postgres/pg_blackout_store.h"
#include "libs/storage/postgres/pg_build_store.h"
#include "libs/storage/postgres/pg_organization_store.h"
#include "libs/storage/postgres/pg_schedule_store.h"
#include "libs/storage/postgres/pg_user_store.h"
#include "libs/storage/postgres/pg_workspace_store.h"
#include "services/coderd-api/build_service.h"
#include "services/coderd-api/schedule_service.h"
#include "services/coderd-api/stream_job_logs_reactor.h"
#include "services/coderd-api/wiring.h"
#include "services/coderd-api/workspace_service.h"

namespace coder::api {

void WireWorkspaces(Wiring& wiring, StreamJobLogsParts& logs) {
  auto& workspaces = wiring.Make<storage::PgWorkspaceStore>(wiring->pool, wiring->ids);
  auto& schedules = wiring.Make<storage::PgScheduleStore>(wiring->pool);
  auto& builds = wiring.Make<storage::PgBuildStore>(wiring->pool, wiring->ids);
  events::OutboxPoker& poker = wiring.poker();
  const auto job_queued = [&wiring](const lifecycle::OrganizationId& id) {
    wiring.job_queue().Poke(id);
  };
  wiring.Serve<WorkspaceService>(
      WorkspaceService::kName,
      WorkspaceService::Parts{wiring->gate, workspaces, schedules, poker, job_queued});
  wiring.Serve<ScheduleService>(
      ScheduleService::kName,
      ScheduleService::Parts{
          .gate = wiring->gate,
          .workspaces = workspaces,
          .schedules = schedules,
          .blackouts = wiring.Make<storage::PgBlackoutStore>(wiring->pool),
          .users = wiring.Make<storage::PgUserStore>(wiring->pool),
          .organizations = wiring.Make<storage::PgOrganizationStore>(wiring->pool),
          .ids = wiring->ids,
          .clock = wiring->clock,
          .quiet_hours = wiring->config.quiet_hours});
  wiring.Serve<BuildService>(
      BuildService::kName,
      BuildService::Parts{
          wiring->gate, workspaces, builds, poker, job_queued,
          [&wiring](const lifecycle::JobId& id) { wiring.job_logs().Poke(id); },
          [&logs](grpc::CallbackServerContext* context, const v1::StreamJobLogsRequest* request) {
            return StartStreamJobLogs(logs, context, request);
          }});
}

}  // namespace coder::api
