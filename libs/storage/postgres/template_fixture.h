#pragma once

#include <string>

#include "libs/status/error_reason.h"
#include "libs/storage/postgres/pg_file_store.h"
#include "libs/storage/postgres/pg_template_store.h"
#include "libs/storage/postgres/pg_template_version_store.h"
#include "libs/storage/postgres/testing/migrated_database.h"
#include "libs/storage/postgres/testing/sample_world.h"

namespace coder::storage {

inline clock::Deadline Ample() { return clock::Deadline::After(absl::Minutes(1)); }

/// The reason a status carries, or nothing.
inline std::string Reason(const absl::Status& status) {
  const auto reason = status::ReasonOf(status);
  return reason ? reason->reason : "";
}

/// The stores as the service's own role, beside a world made by the superuser.
struct TemplateFixture {
  NewTemplateVersion NewVersion(const std::string& name) {
    return {.id = world.NewId<lifecycle::TemplateVersionId>(),
            .job = world.NewId<lifecycle::JobId>(),
            .organization = world.organization,
            .template_id = world.template_id,
            .file = world.file,
            .creator = world.owner,
            .name = name,
            .message = "more memory",
            .provisioner = "echo",
            .tags = {{"scope", "organization"}, {"owner", ""}}};
  }

  NewTemplate TemplateFrom(lifecycle::TemplateVersionId version, const std::string& name) {
    return {.id = world.NewId<lifecycle::TemplateId>(),
            .organization = world.organization,
            .version = version,
            .creator = world.owner,
            .name = name,
            .default_ttl = absl::Hours(8)};
  }

  /// A version that no template is made from yet.
  lifecycle::TemplateVersionId AddLooseVersion(const std::string& name,
                                               const std::string& status = "succeeded") {
    const lifecycle::TemplateVersionId id = world.AddVersion(name, status);
    world.Run("UPDATE template_versions SET template_id = NULL WHERE id = $1", {id.ToString()});
    return id;
  }

  void StartImport(lifecycle::TemplateVersionId version) {
    world.Run(
        "UPDATE provisioner_jobs SET started_at = now(), lease_token = gen_random_uuid(), "
        "lease_expires_at = now() WHERE id = (SELECT job_id FROM template_versions WHERE id = $1)",
        {version.ToString()});
  }

  RequestKey Request(const std::string& body) {
    return {.caller = "user:x", .method = "/m", .request_id = request_id, .request = body};
  }

  MigratedDatabase database;
  SampleWorld world{database.pool()};
  pg::Pool pool{{.connect = {.conninfo = database.conninfo("coder_api")}, .max_connections = 4}};
  PgFileStore files{pool};
  PgTemplateVersionStore versions{pool};
  PgTemplateStore templates{pool};
  const ids::Uuid request_id = ids::Uuid::Parse("0191d1a0-0000-7000-8000-000000000001").value();
};

}  // namespace coder::storage
