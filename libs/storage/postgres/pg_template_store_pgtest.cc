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
using lifecycle::OrganizationId;
using lifecycle::TemplateId;
using lifecycle::TemplateVersionId;

TEST_CASE("a template is made of a version that was imported well and is nobody's") {
  TemplateFixture f;
  const TemplateVersionId version = f.AddLooseVersion("first");
  const auto made = f.templates.Create(f.TemplateFrom(version, "rust"), std::nullopt, Ample());
  REQUIRE_THAT(made, IsOk());
  CHECK(made->settings.name == "rust");
  CHECK(made->organization_name == "acme");
  CHECK(made->provisioner == "echo");
  CHECK(made->active_version == version);
  CHECK(made->settings.policy.default_ttl == absl::Hours(8));
  CHECK(made->settings.policy.activity_bump == absl::Hours(1));
  CHECK(made->workspace_count == 0);
  CHECK(f.versions.Get(version, Ample()).value().template_id == made->id);

  const auto reason_of = [&](TemplateVersionId of, const std::string& name) {
    return Reason(f.templates.Create(f.TemplateFrom(of, name), std::nullopt, Ample()).status());
  };
  CHECK(reason_of(version, "other") == "VERSION_TAKEN");
  CHECK(reason_of(f.AddLooseVersion("l2"), "RUST") == "TEMPLATE_NAME_TAKEN");
  CHECK(reason_of(f.AddLooseVersion("l3", "pending"), "x3") == "IMPORT_NOT_FINISHED");
  CHECK(reason_of(f.AddLooseVersion("l4", "failed"), "x4") == "IMPORT_FAILED");
  CHECK_THAT(f.templates.Create(f.TemplateFrom(f.world.NewId<TemplateVersionId>(), "x5"),
                                std::nullopt, Ample()),
             StatusIs(StatusCode::kNotFound));

  const TemplateVersionId again = f.AddLooseVersion("again");
  const auto once = f.templates.Create(f.TemplateFrom(again, "java"), f.Request("b"), Ample());
  const auto twice = f.templates.Create(f.TemplateFrom(again, "java"), f.Request("b"), Ample());
  REQUIRE_THAT(twice, IsOk());
  CHECK(once.value().id == twice->id);
}

TEST_CASE("templates are found by name within an organization's id, name or default") {
  TemplateFixture f;
  const auto find = [&](const std::string& organization, const std::string& name) {
    return f.templates.FindByName(organization, name, Ample());
  };
  CHECK(find("acme", "GO").value().id == f.world.template_id);
  CHECK(find(f.world.organization.ToString(), "go").value().id == f.world.template_id);
  CHECK(find("default", "go").value().id == f.world.template_id);
  f.world.Run("UPDATE organizations SET is_default = false");
  CHECK_THAT(find("default", "go"), StatusIs(StatusCode::kNotFound, "go"));
  CHECK_THAT(find("acme", "nope"), StatusIs(StatusCode::kNotFound));
  CHECK_THAT(find("nope", "go"), StatusIs(StatusCode::kNotFound));
}

TEST_CASE("templates are listed by organization and name within the caller's scope") {
  TemplateFixture f;
  const auto other = f.world.NewId<OrganizationId>();
  f.world.Run("INSERT INTO organizations (id, name) VALUES ($1, 'Aardvark')", {other.ToString()});
  const TemplateVersionId loose = f.AddLooseVersion("l1");
  f.world.Run("UPDATE template_versions SET organization_id = $2 WHERE id = $1",
              {loose.ToString(), other.ToString()});
  NewTemplate foreign = f.TemplateFrom(loose, "zig");
  foreign.organization = other;
  REQUIRE_THAT(f.templates.Create(foreign, std::nullopt, Ample()), IsOk());
  REQUIRE_THAT(
      f.templates.Create(f.TemplateFrom(f.AddLooseVersion("l2"), "Ada"), std::nullopt, Ample()),
      IsOk());
  const auto names = [&](const auth::Scope& scope, const std::string& organization,
                         const std::optional<TemplatePageKey>& after, int limit) {
    const auto listed = f.templates.List(scope, organization, after, limit, Ample());
    REQUIRE_THAT(listed, IsOk());
    std::string text;
    for (const TemplateRecord& record : *listed) absl::StrAppend(&text, record.settings.name, " ");
    return text;
  };
  const auth::Scope all{.everything = true};
  CHECK(names(all, "", std::nullopt, 9) == "zig Ada go ");
  CHECK(names(all, "", std::nullopt, 2) == "zig Ada ");
  CHECK(names(all, "", TemplatePageKey{"acme", "ada"}, 2) == "go ");
  CHECK(names(all, "acme", std::nullopt, 9) == "Ada go ");
  CHECK(names({.organizations = {other}}, "", std::nullopt, 9) == "zig ");
  CHECK(names({.organizations = {other}}, "acme", std::nullopt, 9).empty());
  CHECK(names({}, "", std::nullopt, 9).empty());
}

TEST_CASE("settings are replaced at the revision they were read at, once") {
  TemplateFixture f;
  const TemplateRecord before = f.templates.Get(f.world.template_id, Ample()).value();
  TemplateSettings settings = before.settings;
  settings.name = "golang";
  settings.description = "for Go";
  settings.policy = {.default_ttl = absl::Hours(3),
                     .activity_bump = absl::Minutes(5),
                     .allow_user_autostart = false,
                     .allow_user_autostop = false,
                     .allow_user_cancel_workspace_jobs = false,
                     .require_active_version = true,
                     .autostart_allowed_days = 31,
                     .failure_ttl = absl::Hours(1),
                     .time_til_dormant = absl::Hours(24),
                     .time_til_dormant_autodelete = absl::Hours(48),
                     .autostart_catch_up = absl::ZeroDuration(),
                     .autostop_requirement_days = 65,
                     .autostop_requirement_weeks = 16,
                     .autostart_spread = absl::Hours(1),
                     .autostart_max_attempts = 10,
                     .autostart_retry_delay = absl::Minutes(7),
                     .autostop_reminder = absl::Minutes(30),
                     .deprecation_message = "use rust"};
  const auto updated = f.templates.Update(before.id, before.revision, settings, Ample());
  REQUIRE_THAT(updated, IsOk());
  CHECK(updated->settings.name == "golang");
  CHECK(updated->settings.description == "for Go");
  CHECK(updated->settings.policy == settings.policy);
  CHECK(updated->revision > before.revision);
  const auto stale = f.templates.Update(before.id, before.revision, settings, Ample());
  CHECK_THAT(stale, StatusIs(StatusCode::kAborted));
  CHECK(Reason(stale.status()) == "ETAG_MISMATCH");

  settings.policy = {};
  CHECK(
      f.templates.Update(before.id, updated->revision, settings, Ample()).value().settings.policy ==
      lifecycle::WorkspacePolicy{});
  REQUIRE_THAT(
      f.templates.Create(f.TemplateFrom(f.AddLooseVersion("l"), "rust"), std::nullopt, Ample()),
      IsOk());
  settings.name = "Rust";
  CHECK(Reason(f.templates.Update(before.id, updated->revision + 1, settings, Ample()).status()) ==
        "TEMPLATE_NAME_TAKEN");
}

TEST_CASE("a changed policy reaches the times of its workspaces") {
  TemplateFixture f;
  const auto starts = f.world.AddWorkspace("starts");
  const auto sleeps = f.world.AddWorkspace("sleeps");
  f.world.Run(
      "UPDATE workspaces SET autostart_schedule = '0 9 * * *', next_start_at = now() "
      "WHERE id = $1",
      {starts.ToString()});
  f.world.Run("UPDATE workspaces SET dormant_at = '2030-01-01Z' WHERE id = $1",
              {sleeps.ToString()});
  const auto times = [&] {
    return f.world.Run(
        "SELECT (SELECT next_start_at IS NULL FROM workspaces WHERE id = $1), "
        "(SELECT deleting_at = '2030-01-02Z' FROM workspaces WHERE id = $2)",
        {starts.ToString(), sleeps.ToString()});
  };
  TemplateRecord record = f.templates.Get(f.world.template_id, Ample()).value();
  record.settings.description = "nothing about times";
  record = f.templates.Update(record.id, record.revision, record.settings, Ample()).value();
  CHECK(!times().Get<bool>(0, 0));
  CHECK(times().Get<std::optional<bool>>(0, 1) == std::nullopt);
  record.settings.policy.autostart_allowed_days = 1;
  record.settings.policy.time_til_dormant_autodelete = absl::Hours(24);
  record = f.templates.Update(record.id, record.revision, record.settings, Ample()).value();
  CHECK(times().Get<bool>(0, 0));
  CHECK(times().Get<bool>(0, 1));
  record.settings.policy.time_til_dormant_autodelete.reset();
  REQUIRE_THAT(f.templates.Update(record.id, record.revision, record.settings, Ample()), IsOk());
  CHECK(times().Get<std::optional<bool>>(0, 1) == std::nullopt);
}

TEST_CASE("only a template's own, well imported version is promoted") {
  TemplateFixture f;
  const TemplateVersionId next = f.world.AddVersion("v2");
  const auto promoted = f.templates.Promote(f.world.template_id, next, Ample());
  REQUIRE_THAT(promoted, IsOk());
  CHECK(promoted->active_version == next);
  CHECK(
      Reason(f.templates.Promote(f.world.template_id, f.world.AddVersion("v3", "pending"), Ample())
                 .status()) == "IMPORT_NOT_FINISHED");
  CHECK(Reason(f.templates.Promote(f.world.template_id, f.world.AddVersion("v4", "failed"), Ample())
                   .status()) == "IMPORT_FAILED");
  CHECK_THAT(f.templates.Promote(f.world.template_id, f.AddLooseVersion("l"), Ample()),
             StatusIs(StatusCode::kNotFound));
  CHECK_THAT(f.templates.Promote(f.world.NewId<TemplateId>(), next, Ample()),
             StatusIs(StatusCode::kNotFound));
}

TEST_CASE("a template is deleted once nothing uses it, and its name is free again") {
  TemplateFixture f;
  const auto workspace = f.world.AddWorkspace("dev");
  CHECK(f.templates.Get(f.world.template_id, Ample()).value().workspace_count == 1);
  const absl::Status in_use = f.templates.Delete(f.world.template_id, Ample());
  CHECK_THAT(in_use, StatusIs(StatusCode::kFailedPrecondition, "1 workspace"));
  CHECK(Reason(in_use) == "TEMPLATE_IN_USE");
  f.world.Run("UPDATE workspaces SET deleted_at = now() WHERE id = $1", {workspace.ToString()});
  REQUIRE_THAT(f.templates.Delete(f.world.template_id, Ample()), IsOk());
  CHECK_THAT(f.templates.Get(f.world.template_id, Ample()), StatusIs(StatusCode::kNotFound));
  CHECK_THAT(f.templates.Delete(f.world.template_id, Ample()), StatusIs(StatusCode::kNotFound));
  CHECK_THAT(f.templates.FindByName("acme", "go", Ample()), StatusIs(StatusCode::kNotFound));
  CHECK_THAT(f.versions.Create(f.NewVersion("v9"), std::nullopt, Ample()),
             StatusIs(StatusCode::kNotFound));
  CHECK_THAT(
      f.templates.Create(f.TemplateFrom(f.AddLooseVersion("l"), "go"), std::nullopt, Ample()),
      IsOk());
}

}  // namespace
}  // namespace coder::storage
