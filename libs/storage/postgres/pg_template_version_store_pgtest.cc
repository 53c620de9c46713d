#include <catch2/catch.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "libs/storage/postgres/template_fixture.h"
#include "libs/testing/matchers.h"

namespace coder::storage {
namespace {

using absl::StatusCode;
using ::coder::testing::IsOk;
using ::coder::testing::StatusIs;
using lifecycle::JobStatus;
using lifecycle::OrganizationId;
using lifecycle::TemplateId;
using lifecycle::TemplateVersionId;

TEST_CASE("the same bytes of the same user are the same file") {
  TemplateFixture f;
  const auto put = [&](lifecycle::UserId user, char digest) {
    return f.files.Put({.id = f.world.NewId<lifecycle::FileId>(),
                        .creator = user,
                        .sha256 = std::string(32, digest),
                        .media_type = "application/x-tar",
                        .data = std::string("a\0b", 3)},
                       Ample());
  };
  const auto first = put(f.world.owner, 'd');
  REQUIRE_THAT(first, IsOk());
  CHECK(put(f.world.owner, 'd').value() == *first);
  CHECK(put(f.world.owner, 'e').value() != *first);
  CHECK(put(f.world.other, 'd').value() != *first);

  NewTemplateVersion version = f.NewVersion("v2");
  version.file = *first;
  REQUIRE_THAT(f.versions.Create(version, std::nullopt, Ample()), IsOk());
  CHECK(f.files.LoadSource(version.id, Ample()).value() == std::string("a\0b", 3));
  CHECK_THAT(f.files.LoadSource(f.world.NewId<TemplateVersionId>(), Ample()),
             StatusIs(StatusCode::kNotFound));
}

TEST_CASE("a version is created with a waiting import and its sealed variables") {
  TemplateFixture f;
  NewTemplateVersion version = f.NewVersion("v2");
  version.tags["gpu"] = "yes";
  version.variables = {{"token", std::string("\0sealed", 7)}};
  const auto made = f.versions.Create(version, std::nullopt, Ample());
  REQUIRE_THAT(made, IsOk());
  CHECK(made->id == version.id);
  CHECK(made->template_id == f.world.template_id);
  CHECK(made->name == "v2");
  CHECK(made->message == "more memory");
  CHECK(made->job.id == version.job);
  CHECK(made->job.status == JobStatus::kPending);
  CHECK(made->job.tags == version.tags);
  CHECK(made->job.matching_provisioners == 0);
  const pg::Result row = f.world.Run(
      "SELECT v.sealed_value, j.queue_at = j.created_at AS now FROM template_version_variables v "
      "JOIN template_versions t ON t.id = v.template_version_id "
      "JOIN provisioner_jobs j ON j.id = t.job_id WHERE t.id = $1 AND v.name = 'token'",
      {version.id.ToString()});
  CHECK(row.Get<pg::Bytea>(0, 0).bytes == std::string("\0sealed", 7));
  CHECK(row.Get<bool>(0, 1));
}

TEST_CASE("a version keeps the values of the active one that it is not given") {
  TemplateFixture f;
  f.world.Run(
      "INSERT INTO template_version_variables (template_version_id, name, sealed_value) "
      "SELECT t.active_version_id, v.name, v.sealed::bytea FROM templates t, "
      "(VALUES ('region', 'eu'), ('token', 'old'), ('unset', NULL)) AS v (name, sealed) "
      "WHERE t.id = $1",
      {f.world.template_id.ToString()});
  NewTemplateVersion version = f.NewVersion("v2");
  version.variables = {{"token", "new"}};
  REQUIRE_THAT(f.versions.Create(version, std::nullopt, Ample()), IsOk());
  const pg::Result rows = f.world.Run(
      "SELECT name, sealed_value FROM template_version_variables WHERE template_version_id = $1 "
      "ORDER BY name",
      {version.id.ToString()});
  REQUIRE(rows.rows() == 2);
  CHECK(rows.Get<std::string>(0, 0) == "region");
  CHECK(rows.Get<pg::Bytea>(0, 1).bytes == "eu");
  CHECK(rows.Get<pg::Bytea>(1, 1).bytes == "new");
}

TEST_CASE("a version must fit what it refers to") {
  TemplateFixture f;
  NewTemplateVersion version = f.NewVersion("v2");
  SECTION("a taken name") {
    version.name = "V1";
    const auto made = f.versions.Create(version, std::nullopt, Ample());
    CHECK_THAT(made, StatusIs(StatusCode::kAlreadyExists, "V1"));
    CHECK(Reason(made.status()) == "VERSION_NAME_TAKEN");
  }
  SECTION("another's file") {
    version.creator = f.world.other;
    CHECK_THAT(f.versions.Create(version, std::nullopt, Ample()),
               StatusIs(StatusCode::kNotFound, "file"));
  }
  SECTION("a template of no organization of ours") {
    version.template_id = f.world.NewId<TemplateId>();
    CHECK_THAT(f.versions.Create(version, std::nullopt, Ample()),
               StatusIs(StatusCode::kNotFound, "template"));
  }
  SECTION("an organization that is not there") {
    version.organization = f.world.NewId<OrganizationId>();
    CHECK_THAT(f.versions.Create(version, std::nullopt, Ample()),
               StatusIs(StatusCode::kNotFound, "organization"));
  }
  SECTION("another provisioner") {
    version.provisioner = "terraform";
    const auto made = f.versions.Create(version, std::nullopt, Ample());
    CHECK(Reason(made.status()) == "PROVISIONER_MISMATCH");
  }
  SECTION("a variable given twice") {
    version.variables = {{"a", "x"}, {"a", "y"}};
    CHECK_THAT(f.versions.Create(version, std::nullopt, Ample()),
               StatusIs(StatusCode::kInvalidArgument, "twice"));
  }
}

TEST_CASE("the same request makes one version") {
  TemplateFixture f;
  const auto first = f.versions.Create(f.NewVersion("v2"), f.Request("body"), Ample());
  REQUIRE_THAT(first, IsOk());
  const auto again = f.versions.Create(f.NewVersion("v2"), f.Request("body"), Ample());
  REQUIRE_THAT(again, IsOk());
  CHECK(again->id == first->id);
  const auto other = f.versions.Create(f.NewVersion("v3"), f.Request("other"), Ample());
  CHECK_THAT(other, StatusIs(StatusCode::kInvalidArgument));
  CHECK(Reason(other.status()) == "REQUEST_ID_REUSED");
}

TEST_CASE("versions are listed newest first, page by page, without archived ones unless asked") {
  TemplateFixture f;
  std::vector<TemplateVersionId> made;
  for (const char* name : {"v2", "v3", "v4"}) made.push_back(f.world.AddVersion(name));
  f.world.Run("UPDATE template_versions SET readme = 'long', created_at = now()");
  REQUIRE_THAT(f.versions.SetArchived(made[1], true, Ample()), IsOk());
  const VersionFilter filter{.template_id = f.world.template_id};
  const auto first = f.versions.List(filter, std::nullopt, 2, Ample());
  REQUIRE_THAT(first, IsOk());
  REQUIRE(first->size() == 2);
  CHECK((*first)[0].id == made[2]);
  CHECK((*first)[1].id == made[0]);
  CHECK((*first)[0].readme.empty());
  const auto second =
      f.versions.List(filter, VersionPageKey{(*first)[1].created_at, (*first)[1].id}, 2, Ample());
  REQUIRE(second.value().size() == 1);
  CHECK((*second)[0].id == f.world.version);
  CHECK(f.versions
            .List({.template_id = f.world.template_id, .include_archived = true}, std::nullopt, 9,
                  Ample())
            .value()
            .size() == 4);
  CHECK(f.versions.Get(made[0], Ample()).value().readme == "long");
}

TEST_CASE("an import that waits is canceled at once, one that runs when its runner stops") {
  TemplateFixture f;
  const TemplateVersionId waiting = f.world.AddVersion("v2", "pending");
  const auto canceled = f.versions.CancelImport(waiting, Ample());
  REQUIRE_THAT(canceled, IsOk());
  CHECK(canceled->job.status == JobStatus::kCanceled);
  CHECK(canceled->job.completed_at == canceled->job.canceled_at);

  const TemplateVersionId running = f.world.AddVersion("v3", "pending");
  f.StartImport(running);
  CHECK(f.versions.CancelImport(running, Ample()).value().job.status == JobStatus::kCanceling);
  CHECK(Reason(f.versions.CancelImport(running, Ample()).status()) == "JOB_CANCELED");
  CHECK(Reason(f.versions.CancelImport(f.world.version, Ample()).status()) == "JOB_COMPLETED");
  CHECK_THAT(f.versions.CancelImport(f.world.NewId<TemplateVersionId>(), Ample()),
             StatusIs(StatusCode::kNotFound));
}

TEST_CASE("the active version is not archived; another one is, and comes back") {
  TemplateFixture f;
  CHECK(Reason(f.versions.SetArchived(f.world.version, true, Ample()).status()) ==
        "VERSION_ACTIVE");
  const TemplateVersionId other = f.world.AddVersion("v2");
  const auto archived = f.versions.SetArchived(other, true, Ample());
  REQUIRE_THAT(archived, IsOk());
  CHECK(archived->archived_at.has_value());
  CHECK(f.versions.SetArchived(other, true, Ample()).value().archived_at == archived->archived_at);
  const auto promoted = f.templates.Promote(f.world.template_id, other, Ample());
  CHECK(Reason(promoted.status()) == "VERSION_ARCHIVED");
  CHECK(!f.versions.SetArchived(other, false, Ample()).value().archived_at);
  CHECK_THAT(f.templates.Promote(f.world.template_id, other, Ample()), IsOk());
}

TEST_CASE("what an import found is read back in order") {
  TemplateFixture f;
  const std::string version = f.world.version.ToString();
  f.world.Run(
      "INSERT INTO template_version_parameters (template_version_id, name, type, mutable, "
      "required, options, validation_max, display_order) VALUES "
      "($1, 'size', 'number', true, true, '[]', 8, 2), "
      "($1, 'zone', 'string', false, false, '[{\"name\": \"EU\", \"value\": \"eu\"}]', NULL, 1)",
      {version});
  const auto parameters = f.versions.ListParameters(f.world.version, Ample());
  REQUIRE_THAT(parameters, IsOk());
  REQUIRE(parameters->size() == 2);
  CHECK((*parameters)[0].name == "zone");
  REQUIRE((*parameters)[0].options.size() == 1);
  CHECK((*parameters)[0].options[0].value == "eu");
  CHECK((*parameters)[1].validation_max == 8);
  CHECK(!(*parameters)[1].validation_min);

  f.world.Run(
      "WITH r AS (INSERT INTO workspace_resources (id, job_id, transition, type, name, metadata) "
      "SELECT gen_random_uuid(), job_id, t, 'null_resource', 'dev', "
      "'[{\"key\": \"disk\", \"value\": \"10\", \"sensitive\": false}]' "
      "FROM template_versions, unnest(ARRAY['stop', 'start']) t WHERE template_versions.id = $1 "
      "RETURNING id, transition), a AS (INSERT INTO workspace_agents (id, resource_id, name, "
      "operating_system, architecture) SELECT gen_random_uuid(), id, 'main', 'linux', 'amd64' "
      "FROM r WHERE transition = 'start' RETURNING id) "
      "INSERT INTO workspace_apps (agent_id, slug) SELECT id, 'code' FROM a",
      {version});
  const auto resources = f.versions.ListResources(f.world.version, Ample());
  REQUIRE_THAT(resources, IsOk());
  REQUIRE(resources->size() == 2);
  const ResourceView& start = (*resources)[0];
  CHECK(start.resource.transition == lifecycle::BuildTransition::kStart);
  CHECK(start.resource.metadata.at(0).value == "10");
  REQUIRE(start.agents.size() == 1);
  CHECK(start.agents[0].agent.name == "main");
  CHECK(start.agents[0].agent.apps.at(0).slug == "code");
  CHECK((*resources)[1].agents.empty());
}

TEST_CASE("daemons that could run an import are counted with it") {
  TemplateFixture f;
  NewTemplateVersion wanted = f.NewVersion("v2");
  wanted.tags["gpu"] = "yes";
  REQUIRE_THAT(f.versions.Create(wanted, std::nullopt, Ample()), IsOk());
  f.world.Run(
      "WITH k AS (INSERT INTO provisioner_keys (id, organization_id, name, hashed_secret, "
      "created_by) VALUES (gen_random_uuid(), $1, 'k', sha256('k'), $2) RETURNING id) "
      "INSERT INTO provisioner_daemons (id, organization_id, key_id, name, provisioners, tags, "
      "slots, last_seen_at) SELECT gen_random_uuid(), $1, k.id, d.name, '{echo}', d.tags::jsonb, "
      "1, d.seen FROM k, (VALUES ('a', '{\"gpu\": \"yes\", \"os\": \"linux\"}', now()), "
      "('b', '{}', now()), ('c', '{\"gpu\": \"yes\"}', now() - interval '2 minutes')) "
      "d (name, tags, seen)",
      {f.world.organization.ToString(), f.world.owner.ToString()});
  CHECK(f.versions.Get(wanted.id, Ample()).value().job.matching_provisioners == 1);
  CHECK(f.versions.Get(f.world.version, Ample()).value().job.matching_provisioners == 1);
}

}  // namespace
}  // namespace coder::storage
