#include "libs/storage/postgres/pg_file_store.h"
#include "libs/storage/postgres/pg_template_store.h"
#include "libs/storage/postgres/pg_template_version_store.h"
#include "services/coderd-api/template_service.h"
#include "services/coderd-api/wiring.h"

namespace coder::api {

void WireTemplates(Wiring& wiring) {
  auto& files = wiring.Make<storage::PgFileStore>(wiring->pool);
  auto& versions = wiring.Make<storage::PgTemplateVersionStore>(wiring->pool);
  auto& templates = wiring.Make<storage::PgTemplateStore>(wiring->pool);
  wiring.Serve<TemplateService>(
      TemplateService::kName,
      TemplateService::Parts{
          .gate = wiring->gate,
          .files = files,
          .versions = versions,
          .templates = templates,
          .keyring = wiring->keyring,
          .ids = wiring->ids,
          .job_queued = [&wiring](const auto& id) { wiring.job_queue().Poke(id); },
          .job_ended = [&wiring](const auto& id) { wiring.job_logs().Poke(id); }});
}

}  // namespace coder::api
