#include <set>

#include "libs/testing/matchers.h"
#include "services/coderd-api/template_service_fixture.h"

namespace coder::api {
namespace {

using absl::StatusCode;
using ::coder::testing::IsOk;
using ::coder::testing::StatusIs;
using Fixture = TemplateServiceFixture;
using Stub = v1::TemplateService::Stub;

constexpr char kRequestId[] = "0191d1a0-0000-7000-8000-000000000001";

// As the world's archive is of its owner, so are the calls that use it.
v1::CreateTemplateVersionRequest VersionRequest(Fixture& f) {
  v1::CreateTemplateVersionRequest request;
  request.set_organization_id(f.world.organization.ToString());
  request.set_template_id(f.world.template_id.ToString());
  request.set_file_id(f.world.file.ToString());
  request.set_provisioner("echo");
  return request;
}

std::string Owner(Fixture& f) {
  f.world.identities.SetSiteRoles(f.world.owner, {auth::SiteRole::kTemplateAdmin});
  return f.TokenOf(f.world.owner);
}

v1::CreateTemplateRequest TemplateRequest(Fixture& f, const std::string& name) {
  const auto version = f.world.AddVersion("for-" + name);
  f.world.Run("UPDATE template_versions SET template_id = NULL WHERE id = $1",
              {version.ToString()});
  v1::CreateTemplateRequest request;
  request.set_organization_id(f.world.organization.ToString());
  request.set_name(name);
  request.set_template_version_id(version.ToString());
  return request;
}

v1::GetTemplateRequest ById(const std::string& id) {
  v1::GetTemplateRequest request;
  request.set_template_(id);
  return request;
}

v1::GetTemplateVersionRequest VersionById(const std::string& id) {
  v1::GetTemplateVersionRequest request;
  request.set_id(id);
  return request;
}

TEST_CASE("a new version is queued, named and sealed") {
  Fixture f;
  const std::string owner = Owner(f);
  v1::CreateTemplateVersionRequest request = VersionRequest(f);
  (*request.mutable_tags())["gpu"] = "yes";
  v1::VariableValue* variable = request.add_variables();
  variable->set_name("token");
  variable->set_value("hush");
  const auto made = f.Call(&Stub::CreateTemplateVersion, owner, request);
  REQUIRE_THAT(made, IsOk());
  const v1::TemplateVersion& version = made->template_version();
  CHECK(version.template_id() == f.world.template_id.ToString());
  CHECK(!version.name().empty());
  CHECK(version.job().status() == coder::events::v1::JOB_STATUS_PENDING);
  CHECK(version.job().tags().at("scope") == "organization");
  CHECK(version.job().tags().at("owner").empty());
  CHECK(version.job().tags().at("gpu") == "yes");
  CHECK(version.job().template_version_id() == version.id());
  CHECK(f.queued == std::vector{f.world.organization});
  const auto sealed = f.world
                          .Run(
                              "SELECT sealed_value FROM template_version_variables "
                              "WHERE template_version_id = $1",
                              {version.id()})
                          .Get<pg::Bytea>(0, 0);
  CHECK(sealed.bytes.find("hush") == std::string::npos);
  CHECK(f.keyring.Open(sealed.bytes, "template-variable").value() == "hush");

  (*request.mutable_tags())["scope"] = "user";
  const auto own = f.Call(&Stub::CreateTemplateVersion, owner, request);
  REQUIRE_THAT(own, IsOk());
  CHECK(own->template_version().job().tags().at("owner") == f.world.owner.ToString());
}

TEST_CASE("what a new version may not be is said by field or reason") {
  Fixture f;
  const std::string owner = Owner(f);
  struct Row {
    std::string field;
    void (*set)(v1::CreateTemplateVersionRequest&);
  };
  const Row rows[] = {
      {"organization_id", [](auto& r) { r.set_organization_id("x"); }},
      {"template_id", [](auto& r) { r.set_template_id("x"); }},
      {"file_id", [](auto& r) { r.clear_file_id(); }},
      {"name", [](auto& r) { r.set_name("two  words"); }},
      {"name", [](auto& r) { r.set_name(std::string(65, 'a')); }},
      {"message", [](auto& r) { r.set_message(std::string(1025, 'a')); }},
      {"provisioner", [](auto& r) { r.set_provisioner("pulumi"); }},
      {"tags", [](auto& r) { (*r.mutable_tags())["scope"] = "planet"; }},
      {"variables.name", [](auto& r) { r.add_variables()->set_value("x"); }},
      {"request_id", [](auto& r) { r.set_request_id("x"); }},
  };
  for (const Row& row : rows) {
    CAPTURE(row.field);
    v1::CreateTemplateVersionRequest request = VersionRequest(f);
    row.set(request);
    const auto refused = f.Call(&Stub::CreateTemplateVersion, owner, request);
    CHECK_THAT(refused, StatusIs(StatusCode::kInvalidArgument));
    CHECK(Field(refused.status()) == row.field);
  }
  v1::CreateTemplateVersionRequest request = VersionRequest(f);
  request.set_name("v1");
  const auto taken = f.Call(&Stub::CreateTemplateVersion, owner, request);
  CHECK_THAT(taken, StatusIs(StatusCode::kAlreadyExists));
  CHECK(Reason(taken.status()) == "VERSION_NAME_TAKEN");
  CHECK_THAT(f.Call(&Stub::CreateTemplateVersion, f.admin, VersionRequest(f)),
             StatusIs(StatusCode::kNotFound, "file"));
  CHECK(f.queued.empty());
}

TEST_CASE("the same request id is one version and one template; another body is refused") {
  Fixture f;
  const std::string owner = Owner(f);
  v1::CreateTemplateVersionRequest request = VersionRequest(f);
  request.set_request_id(kRequestId);
  (*request.mutable_tags())["a"] = "1";
  (*request.mutable_tags())["b"] = "2";
  const auto first = f.Call(&Stub::CreateTemplateVersion, owner, request);
  const auto again = f.Call(&Stub::CreateTemplateVersion, owner, request);
  REQUIRE_THAT(again, IsOk());
  CHECK(again->template_version().id() == first.value().template_version().id());
  request.set_message("another");
  const auto reused = f.Call(&Stub::CreateTemplateVersion, owner, request);
  CHECK_THAT(reused, StatusIs(StatusCode::kInvalidArgument));
  CHECK(Reason(reused.status()) == "REQUEST_ID_REUSED");

  v1::CreateTemplateRequest made = TemplateRequest(f, "rust");
  made.set_request_id(kRequestId);
  const auto one = f.Call(&Stub::CreateTemplate, owner, made);
  const auto two = f.Call(&Stub::CreateTemplate, owner, made);
  REQUIRE_THAT(two, IsOk());
  CHECK(two->template_().id() == one.value().template_().id());
}

TEST_CASE("each right reaches as far as its table says") {
  Fixture f;
  const std::string id = f.world.template_id.ToString();
  CHECK_THAT(f.Call(&Stub::GetTemplate, f.member, ById(id)), IsOk());
  CHECK_THAT(f.Call(&Stub::GetTemplate, f.organization_admin, ById(id)), IsOk());
  const auto hidden = f.Call(&Stub::GetTemplate, f.stranger, ById(id));
  CHECK_THAT(hidden, StatusIs(StatusCode::kNotFound));
  const std::string nobody = f.world.NewId<lifecycle::TemplateId>().ToString();
  const auto absent = f.Call(&Stub::GetTemplate, f.stranger, ById(nobody));
  CHECK_THAT(absent, StatusIs(StatusCode::kNotFound));
  std::string like_absent(hidden.status().message());
  like_absent.replace(like_absent.find(id), id.size(), nobody);
  CHECK(like_absent == absent.status().message());

  v1::GetTemplateRequest by_name = ById("go");
  by_name.set_organization("acme");
  CHECK(f.Call(&Stub::GetTemplate, f.member, by_name).value().template_().id() == id);
  CHECK_THAT(f.Call(&Stub::GetTemplate, f.stranger, by_name), StatusIs(StatusCode::kNotFound));
  by_name.clear_organization();
  CHECK(Field(f.Call(&Stub::GetTemplate, f.member, by_name).status()) == "template");

  v1::DeleteTemplateRequest remove;
  remove.set_template_id(id);
  CHECK_THAT(f.Call(&Stub::DeleteTemplate, f.member, remove),
             StatusIs(StatusCode::kPermissionDenied));
  CHECK_THAT(f.Call(&Stub::DeleteTemplate, f.stranger, remove), StatusIs(StatusCode::kNotFound));
  const v1::CreateTemplateRequest made = TemplateRequest(f, "rust");
  CHECK_THAT(f.Call(&Stub::CreateTemplate, f.member, made),
             StatusIs(StatusCode::kPermissionDenied));
  CHECK_THAT(f.Call(&Stub::CreateTemplate, f.stranger, made), StatusIs(StatusCode::kNotFound));
  CHECK_THAT(f.Call(&Stub::CreateTemplate, f.organization_admin, made), IsOk());

  v1::CancelTemplateVersionRequest cancel;
  cancel.set_id(f.world.AddVersion("v2", "pending").ToString());
  CHECK_THAT(f.Call(&Stub::CancelTemplateVersion, f.member, cancel),
             StatusIs(StatusCode::kPermissionDenied));
  CHECK_THAT(f.Call(&Stub::CancelTemplateVersion, f.stranger, cancel),
             StatusIs(StatusCode::kNotFound));
  const auto canceled = f.Call(&Stub::CancelTemplateVersion, f.organization_admin, cancel);
  REQUIRE_THAT(canceled, IsOk());
  CHECK(canceled->template_version().job().status() == coder::events::v1::JOB_STATUS_CANCELED);
  CHECK(f.ended.size() == 1);
  CHECK(Reason(f.Call(&Stub::CancelTemplateVersion, f.admin, cancel).status()) == "JOB_COMPLETED");

  v1::ListTemplatesRequest all;
  CHECK(f.Call(&Stub::ListTemplates, f.admin, all).value().templates_size() == 2);
  CHECK(f.Call(&Stub::ListTemplates, f.member, all).value().templates_size() == 2);
  CHECK(f.Call(&Stub::ListTemplates, f.stranger, all).value().templates_size() == 0);
}

TEST_CASE("a template's life: made, changed, promoted, deleted") {
  Fixture f;
  v1::CreateTemplateRequest request = TemplateRequest(f, "rust");
  request.mutable_default_ttl()->set_seconds(3600);
  const auto made = f.Call(&Stub::CreateTemplate, f.admin, request);
  REQUIRE_THAT(made, IsOk());
  const v1::Template& first = made->template_();
  CHECK(first.name() == "rust");
  CHECK(first.default_ttl().seconds() == 3600);
  CHECK(first.active_version_id() == request.template_version_id());
  CHECK(first.creator_id() == f.admin_id.ToString());

  v1::UpdateTemplateRequest update;
  *update.mutable_template_() = first;
  update.mutable_template_()->clear_default_ttl();
  update.mutable_template_()->set_require_active_version(true);
  update.mutable_template_()->mutable_failure_ttl()->set_seconds(60);
  update.mutable_template_()->set_autostop_requirement_days(65);
  update.mutable_template_()->set_autostop_requirement_weeks(2);
  update.mutable_template_()->mutable_autostart_spread()->set_seconds(600);
  update.mutable_template_()->set_autostart_max_attempts(3);
  update.mutable_template_()->mutable_autostart_retry_delay()->set_seconds(120);
  update.mutable_template_()->mutable_autostop_reminder()->set_seconds(1800);
  update.mutable_template_()->set_description("not in the mask");
  for (const char* path :
       {"default_ttl", "require_active_version", "failure_ttl", "autostop_requirement_days",
        "autostop_requirement_weeks", "autostart_spread", "autostart_max_attempts",
        "autostart_retry_delay", "autostop_reminder"}) {
    update.mutable_update_mask()->add_paths(path);
  }
  const auto updated = f.Call(&Stub::UpdateTemplate, f.admin, update);
  REQUIRE_THAT(updated, IsOk());
  CHECK(!updated->template_().has_default_ttl());
  CHECK(updated->template_().require_active_version());
  CHECK(updated->template_().failure_ttl().seconds() == 60);
  CHECK(updated->template_().autostop_requirement_days() == 65);
  CHECK(updated->template_().autostop_requirement_weeks() == 2);
  CHECK(updated->template_().autostart_spread().seconds() == 600);
  CHECK(updated->template_().autostart_max_attempts() == 3);
  CHECK(updated->template_().autostart_retry_delay().seconds() == 120);
  CHECK(updated->template_().autostop_reminder().seconds() == 1800);
  CHECK(updated->template_().description().empty());
  CHECK(updated->template_().etag() != first.etag());

  const auto stale = f.Call(&Stub::UpdateTemplate, f.admin, update);
  CHECK_THAT(stale, StatusIs(StatusCode::kAborted));
  CHECK(Reason(stale.status()) == "ETAG_MISMATCH");
  update.mutable_template_()->clear_etag();
  CHECK_THAT(f.Call(&Stub::UpdateTemplate, f.admin, update), IsOk());

  v1::PromoteTemplateVersionRequest promote;
  promote.set_template_id(first.id());
  promote.set_template_version_id(f.world.version.ToString());
  CHECK_THAT(f.Call(&Stub::PromoteTemplateVersion, f.admin, promote),
             StatusIs(StatusCode::kNotFound));
  v1::ArchiveTemplateVersionRequest archive;
  archive.set_id(first.active_version_id());
  CHECK(Reason(f.Call(&Stub::ArchiveTemplateVersion, f.admin, archive).status()) ==
        "VERSION_ACTIVE");

  v1::DeleteTemplateRequest remove;
  remove.set_template_id(f.world.template_id.ToString());
  f.world.AddWorkspace("dev");
  CHECK(Reason(f.Call(&Stub::DeleteTemplate, f.admin, remove).status()) == "TEMPLATE_IN_USE");
  remove.set_template_id(first.id());
  CHECK_THAT(f.Call(&Stub::DeleteTemplate, f.admin, remove), IsOk());
  CHECK_THAT(f.Call(&Stub::GetTemplate, f.admin, ById(first.id())),
             StatusIs(StatusCode::kNotFound));
}

TEST_CASE("an update names fields there are and values they may have") {
  Fixture f;
  struct Row {
    std::string path, field;
    void (*set)(v1::Template&);
  };
  const Row rows[] = {
      {"", "update_mask", [](v1::Template&) {}},
      {"creator_id", "update_mask", [](v1::Template&) {}},
      {"name", "name", [](v1::Template& t) { t.set_name("-x"); }},
      {"name", "name", [](v1::Template& t) { t.set_name("new"); }},
      {"display_name", "display_name", [](v1::Template& t) { t.set_display_name(" x"); }},
      {"description", "description",
       [](v1::Template& t) { t.set_description(std::string(1025, 'x')); }},
      {"icon", "icon", [](v1::Template& t) { t.set_icon(std::string(257, 'x')); }},
      {"default_ttl", "default_ttl", [](v1::Template& t) { t.mutable_default_ttl(); }},
      {"autostart_allowed_days", "autostart_allowed_days",
       [](v1::Template& t) { t.set_autostart_allowed_days(128); }},
      {"time_til_dormant", "time_til_dormant",
       [](v1::Template& t) { t.mutable_time_til_dormant()->set_seconds(59); }},
      {"activity_bump", "activity_bump",
       [](v1::Template& t) { t.mutable_activity_bump()->set_seconds(-1); }},
  };
  for (const Row& row : rows) {
    CAPTURE(row.path, row.field);
    v1::UpdateTemplateRequest update;
    update.mutable_template_()->set_id(f.world.template_id.ToString());
    row.set(*update.mutable_template_());
    if (!row.path.empty()) update.mutable_update_mask()->add_paths(row.path);
    const auto refused = f.Call(&Stub::UpdateTemplate, f.admin, update);
    CHECK_THAT(refused, StatusIs(StatusCode::kInvalidArgument));
    CHECK(Field(refused.status()) == row.field);
  }
}

TEST_CASE("lists are paged, and a page token is good for its own list only") {
  Fixture f;
  for (const char* name : {"alpha", "beta"}) {
    REQUIRE_THAT(f.Call(&Stub::CreateTemplate, f.admin, TemplateRequest(f, name)), IsOk());
  }
  v1::ListTemplatesRequest list;
  list.set_page_size(2);
  const auto first = f.Call(&Stub::ListTemplates, f.admin, list);
  REQUIRE_THAT(first, IsOk());
  REQUIRE(first->templates_size() == 2);
  CHECK(first->templates(0).name() == "alpha");
  list.set_page_token(first->next_page_token());
  const auto second = f.Call(&Stub::ListTemplates, f.admin, list);
  REQUIRE(second.value().templates_size() == 1);
  CHECK(second->templates(0).name() == "go");
  CHECK(second->next_page_token().empty());
  list.set_organization("acme");
  CHECK(Field(f.Call(&Stub::ListTemplates, f.admin, list).status()) == "page_token");

  f.world.AddVersion("v2");
  f.world.AddVersion("v3");
  v1::ListTemplateVersionsRequest versions;
  versions.set_template_id(f.world.template_id.ToString());
  versions.set_page_size(2);
  const auto page = f.Call(&Stub::ListTemplateVersions, f.member, versions);
  REQUIRE(page.value().template_versions_size() == 2);
  CHECK(page->template_versions(0).name() == "v3");
  versions.set_page_token(page->next_page_token());
  const auto rest = f.Call(&Stub::ListTemplateVersions, f.member, versions);
  REQUIRE(rest.value().template_versions_size() == 1);
  CHECK(rest->template_versions(0).name() == "v1");
  versions.set_include_archived(true);
  CHECK(Field(f.Call(&Stub::ListTemplateVersions, f.member, versions).status()) == "page_token");
}

TEST_CASE("what an import found is told once it has succeeded") {
  Fixture f;
  f.world.Run(
      "INSERT INTO template_version_parameters (template_version_id, name, type, mutable, "
      "required) "
      "VALUES ($1, 'size', 'number', true, true)",
      {f.world.version.ToString()});
  v1::ListTemplateVersionParametersRequest request;
  request.set_template_version_id(f.world.version.ToString());
  const auto listed = f.Call(&Stub::ListTemplateVersionParameters, f.member, request);
  REQUIRE(listed.value().parameters_size() == 1);
  CHECK(listed->parameters(0).name() == "size");
  CHECK(!listed->parameters(0).has_validation_min());
  request.set_template_version_id(f.world.AddVersion("v2", "pending").ToString());
  CHECK(Reason(f.Call(&Stub::ListTemplateVersionParameters, f.member, request).status()) ==
        "IMPORT_NOT_FINISHED");
  request.set_template_version_id(f.world.AddVersion("v3", "failed").ToString());
  CHECK(Reason(f.Call(&Stub::ListTemplateVersionParameters, f.member, request).status()) ==
        "IMPORT_FAILED");
  v1::ListTemplateVersionResourcesRequest resources;
  resources.set_template_version_id(f.world.version.ToString());
  CHECK_THAT(f.Call(&Stub::ListTemplateVersionResources, f.member, resources), IsOk());
  CHECK_THAT(f.Call(&Stub::ListTemplateVersionResources, f.stranger, resources),
             StatusIs(StatusCode::kNotFound));
}

TEST_CASE("ids that name nothing and ids that are none") {
  Fixture f;
  const std::string nobody = f.world.NewId<lifecycle::TemplateVersionId>().ToString();
  CHECK_THAT(f.Call(&Stub::GetTemplateVersion, f.admin, VersionById(nobody)),
             StatusIs(StatusCode::kNotFound, nobody));
  CHECK(Field(f.Call(&Stub::GetTemplateVersion, f.admin, VersionById("7")).status()) == "id");
  CHECK_THAT(f.Call(&Stub::GetTemplateVersion, "", VersionById(nobody)),
             StatusIs(StatusCode::kUnauthenticated));
  CHECK(f.Call(&Stub::GetTemplateVersion, f.member, VersionById(f.world.version.ToString()))
            .value()
            .template_version()
            .name() == "v1");
}

}  // namespace
}  // namespace coder::api
