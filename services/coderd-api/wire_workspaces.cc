#include "libs/events/poker.h"
#include "libs/storage/postgres/pg_build_store.h"
#include "libs/storage/postgres/pg_workspace_store.h"
#include "services/coderd-api/build_service.h"
#include "services/coderd-api/stream_job_logs_reactor.h"
#include "services/coderd-api/wiring.h"
#include "services/coderd-api/workspace_service.h"

namespace coder::api {

void WireWorkspaces(Wiring& wiring, StreamJobLogsParts& logs) {
  auto& workspaces = wiring.Make<storage::PgWorkspaceStore>(wiring->pool, wiring->ids);
  auto& builds = wiring.Make<storage::PgBuildStore>(wiring->pool, wiring->ids);
  events::OutboxPoker& poker = wiring.poker();
  const auto job_queued = [&wiring](const lifecycle::OrganizationId& id) {
    wiring.job_queue().Poke(id);
  };
  wiring.Serve<WorkspaceService>(
      WorkspaceService::kName,
      WorkspaceService::Parts{wiring->gate, workspaces, poker, job_queued});
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
