#include <catch2/catch.hpp>
#include <string>

#include "coder/api/v1/schedule.grpc.pb.h"
#include "coder/api/v1/workspace.grpc.pb.h"
#include "libs/events/proto_time.h"
#include "libs/status/error_reason.h"
#include "libs/storage/postgres/testing/sample_world.h"
#include "libs/testing/matchers.h"
#include "services/coderd-api/testing/api_server.h"
#include "services/coderd-api/wiring.h"

namespace coder::api {
namespace {

using absl::StatusCode;
using testing::IsOk;
using testing::StatusIs;
using Schedules = v1::ScheduleService::Stub;

template <typename T>
std::string Reason(const absl::StatusOr<T>& result) {
  const auto reason = status::ReasonOf(result.status());
  return reason ? reason->reason : "";
}

template <typename T>
std::string Field(const absl::StatusOr<T>& result) {
  const auto violations = status::FieldViolationsOf(result.status());
  return violations.empty() ? "" : violations[0].field;
}

struct Fixture {
  explicit Fixture(bool users_choose = true)
      : server({WireIdentity, [](Wiring& w) { WireWorkspaces(w, WireJobs(w)); }},
               [=](Config& config) {
                 config.quiet_hours = {"CRON_TZ=America/New_York 0 2 * * *", users_choose};
               }) {
    world.identities.SetSiteRoles(world.owner, {auth::SiteRole::kOwner});
    admin = server.AddSession(world.owner);
    member = server.AddSession(world.other);
  }

  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (Schedules::*method)(grpc::ClientContext*,
                                                                  const Request&, Response*),
                                const Request& request, const std::string& token) {
    return api::Call<Response>(
        token, request, [&](auto... arguments) { return ((*schedules).*method)(arguments...); });
  }
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (Schedules::*method)(grpc::ClientContext*,
                                                                  const Request&, Response*),
                                const Request& request) {
    return Call(method, request, admin);
  }

  // A stopped workspace of the admin's.
  std::string Workspace(const std::string& schedule) {
    const lifecycle::WorkspaceId id = world.AddWorkspace("dev");
    world.MoveJob(world.AddBuild(id, "stop"), "succeeded");
    if (!schedule.empty()) {
      world.Run("UPDATE workspaces SET autostart_schedule = $1", {schedule});
    }
    return id.ToString();
  }

  v1::ExplainScheduleResponse Explain(const std::string& workspace) {
    v1::ExplainScheduleRequest request;
    request.set_workspace_id(workspace);
    const auto stub = v1::WorkspaceService::NewStub(server.channel());
    const auto explained = api::Call<v1::ExplainScheduleResponse>(
        admin, request, [&](auto... a) { return stub->ExplainSchedule(a...); });
    REQUIRE_THAT(explained, IsOk());
    return *explained;
  }

  ApiServer server;
  storage::SampleWorld world{server.database().pool()};
  std::unique_ptr<Schedules> schedules = v1::ScheduleService::NewStub(server.channel());
  std::string admin, member;
};

v1::PreviewScheduleRequest PreviewOf(const std::string& schedule, absl::CivilDay from) {
  v1::PreviewScheduleRequest request;
  request.set_schedule(schedule);
  *request.mutable_after_time() = events::ToProto(absl::FromCivil(from, absl::UTCTimeZone()));
  request.set_count(3);
  return request;
}

TEST_CASE("a preview shows both zones, and what the clocks do") {
  Fixture f;
  const auto spring =
      f.Call(&Schedules::PreviewSchedule,
             PreviewOf("CRON_TZ=Europe/Berlin 30 2 * * *", absl::CivilDay(2026, 3, 28)));
  REQUIRE_THAT(spring, IsOk());
  CHECK(spring->schedule_time_zone() == "Europe/Berlin");
  CHECK(spring->time_zone() == "America/New_York");
  REQUIRE(spring->fires_size() == 3);
  CHECK(spring->fires(0).schedule_local() == "2026-03-28T02:30:00+01:00");
  CHECK(spring->fires(0).local() == "2026-03-27T21:30:00-04:00");
  CHECK(spring->fires(0).clock_change() == v1::CLOCK_CHANGE_NONE);
  CHECK(spring->fires(1).schedule_local() == "2026-03-29T03:00:00+02:00");
  CHECK(spring->fires(1).clock_change() == v1::CLOCK_CHANGE_SKIPPED);
  CHECK(spring->fires(2).schedule_local() == "2026-03-30T02:30:00+02:00");

  v1::PreviewScheduleRequest request =
      PreviewOf("CRON_TZ=Europe/Berlin  30 2 * * SUN,mon", absl::CivilDay(2026, 10, 24));
  request.set_time_zone("Asia/Kathmandu");
  const auto autumn = f.Call(&Schedules::PreviewSchedule, request, f.member);
  REQUIRE_THAT(autumn, IsOk());
  CHECK(autumn->schedule() == "CRON_TZ=Europe/Berlin 30 2 * * sun,mon");
  CHECK(autumn->fires(0).schedule_local() == "2026-10-25T02:30:00+02:00");
  CHECK(autumn->fires(0).clock_change() == v1::CLOCK_CHANGE_REPEATED);
  CHECK(autumn->fires(0).local() == "2026-10-25T06:15:00+05:45");
  CHECK(autumn->fires(1).schedule_local() == "2026-10-26T02:30:00+01:00");
}

TEST_CASE("a preview refuses what it cannot show, naming field, value and remedy") {
  Fixture f;
  struct Row {
    const char* name;
    void (*change)(v1::PreviewScheduleRequest&);
    const char* field;
    const char* words;
  };
  const Row rows[] = {
      {"neither", [](auto& r) { r.clear_schedule(); }, "schedule", "workspace_id"},
      {"both", [](auto& r) { r.set_workspace_id("x"); }, "schedule", "workspace_id"},
      {"hour", [](auto& r) { r.set_schedule("0 24 * * *"); }, "schedule", "24"},
      {"zone", [](auto& r) { r.set_schedule("CRON_TZ=Mars/Base 0 9 * * *"); }, "schedule",
       "Mars/Base"},
      {"own zone", [](auto& r) { r.set_time_zone("Mars/Base"); }, "time_zone", "Mars/Base"},
      {"count", [](auto& r) { r.set_count(101); }, "count", "101 is out of range; use 1 to 100"},
      {"negative count", [](auto& r) { r.set_count(-1); }, "count", "-1"},
      {"far future", [](auto& r) { r.mutable_after_time()->set_seconds(253400000000); },
       "after_time", "9998"},
      {"template", [](auto& r) { r.set_template_id("t"); }, "template_id", "\"t\""},
  };
  for (const Row& row : rows) {
    DYNAMIC_SECTION(row.name) {
      v1::PreviewScheduleRequest request = PreviewOf("0 9 * * *", absl::CivilDay(2026, 1, 1));
      row.change(request);
      const auto refused = f.Call(&Schedules::PreviewSchedule, request);
      CHECK_THAT(refused, StatusIs(StatusCode::kInvalidArgument, row.words));
      CHECK(Field(refused) == row.field);
    }
  }
}

TEST_CASE("a preview of a workspace, or with a template, holds its rules against it") {
  Fixture f;
  v1::PreviewScheduleRequest request;
  request.set_workspace_id(f.Workspace(""));
  CHECK(Reason(f.Call(&Schedules::PreviewSchedule, request)) == "NO_SCHEDULE");
  f.world.Run(
      "UPDATE workspaces SET autostart_schedule = 'CRON_TZ=UTC 0 9 * * *', "
      "autostart_skip_until = now() + interval '24 hours'");
  f.world.Run("UPDATE templates SET autostart_spread = interval '1 hour'");
  const auto own = f.Call(&Schedules::PreviewSchedule, request);
  REQUIRE_THAT(own, IsOk());
  CHECK(own->fires_size() == 10);
  CHECK(own->fires(0).skip_reason() == "SKIP_REQUESTED");
  CHECK(own->fires(1).skip_reason().empty());
  CHECK(own->spread_offset().seconds() < 3600);
  CHECK_THAT(f.Call(&Schedules::PreviewSchedule, request, f.member),
             StatusIs(StatusCode::kNotFound));

  f.world.Run("UPDATE templates SET autostart_allowed_days = 31");
  v1::PreviewScheduleRequest given = PreviewOf("0 9 * * *", absl::CivilDay(2026, 3, 6));
  given.set_template_id(f.world.template_id.ToString());
  const auto with_template = f.Call(&Schedules::PreviewSchedule, given);
  REQUIRE_THAT(with_template, IsOk());
  CHECK(with_template->fires(0).skip_reason().empty());
  CHECK(with_template->fires(1).skip_reason() == "DAY_FORBIDDEN");
}

TEST_CASE("skipping shows in the workspace, in what is planned, and is taken back") {
  Fixture f;
  const std::string id = f.Workspace("CRON_TZ=UTC 0 9 * * *");
  v1::SkipNextAutostartRequest request;
  request.set_workspace_id(id);
  const auto skipped = f.Call(&Schedules::SkipNextAutostart, request);
  REQUIRE_THAT(skipped, IsOk());
  CHECK(skipped->has_skip_until_time());
  const v1::ExplainScheduleResponse explained = f.Explain(id);
  REQUIRE(explained.planned_size() == 2);
  CHECK(explained.planned(0).skip_reason() == "SKIP_REQUESTED");
  CHECK(explained.planned(0).nominal_time().seconds() == skipped->skip_until_time().seconds());
  CHECK(explained.planned(1).skip_reason().empty());
  CHECK(explained.planned(1).nominal_time().seconds() == skipped->next_start_time().seconds());
  CHECK(explained.catch_up_window().seconds() == 3600);
  CHECK(explained.outcome_retention().seconds() == 90 * 24 * 3600);

  request.set_count(32);
  CHECK(Field(f.Call(&Schedules::SkipNextAutostart, request)) == "count");
  request.set_count(1);
  request.set_undo(true);
  CHECK(Field(f.Call(&Schedules::SkipNextAutostart, request)) == "count");
  request.set_count(0);
  const auto undone = f.Call(&Schedules::SkipNextAutostart, request);
  REQUIRE_THAT(undone, IsOk());
  CHECK_FALSE(undone->has_skip_until_time());
  CHECK(f.Explain(id).planned_size() == 1);
}

TEST_CASE("explained outcomes say what became of their builds, attempt by attempt") {
  Fixture f;
  const std::string id = f.Workspace("CRON_TZ=UTC 0 9 * * *");
  const auto build = f.world.AddBuild(lifecycle::WorkspaceId::Parse(id).value(), "start");
  f.world.MoveJob(build, "failed");
  f.world.Run(
      "INSERT INTO lifecycle_outcomes (workspace_id, kind, nominal_at, attempt, outcome, reason, "
      "build_id) VALUES ($1, 'autostart', 'epoch', 1, 'applied', '', $2), "
      "($1, 'autostart', 'epoch', 2, 'skipped', 'BLACKOUT', NULL)",
      {id, build.ToString()});
  const v1::ExplainScheduleResponse explained = f.Explain(id);
  REQUIRE(explained.outcomes_size() == 2);
  CHECK(explained.outcomes(0).attempt() == 2);
  CHECK(explained.outcomes(0).build_status() == events::v1::JOB_STATUS_UNSPECIFIED);
  CHECK(explained.outcomes(1).build_status() == events::v1::JOB_STATUS_FAILED);
  CHECK(explained.outcomes(1).build_number() == 2);
}

TEST_CASE("activity is recorded for what runs") {
  Fixture f;
  v1::RecordActivityRequest request;
  request.set_workspace_id(f.Workspace(""));
  CHECK(Reason(f.Call(&Schedules::RecordActivity, request)) == "NOT_RUNNING");
  f.world.Run(
      "UPDATE workspace_builds SET transition = 'start', deadline = now() + interval '10 min', "
      "max_deadline = now() + interval '30 min'");
  request.set_app(std::string(65, 'x'));
  CHECK(Field(f.Call(&Schedules::RecordActivity, request)) == "app");
  request.set_app("ssh");
  const auto recorded = f.Call(&Schedules::RecordActivity, request);
  REQUIRE_THAT(recorded, IsOk());
  CHECK(recorded->deadline_moved());
  CHECK(recorded->deadline().seconds() == recorded->max_deadline().seconds());
}

TEST_CASE("quiet hours are the deployment's until a user chooses") {
  Fixture f;
  v1::GetQuietHoursRequest get;
  get.set_user("me");
  const auto before = f.Call(&Schedules::GetQuietHours, get, f.member);
  REQUIRE_THAT(before, IsOk());
  CHECK(before->quiet_hours().schedule() == "CRON_TZ=America/New_York 0 2 * * *");
  CHECK(before->quiet_hours().is_default());
  CHECK(before->quiet_hours().changeable());
  v1::SetQuietHoursRequest set;
  set.set_user("me");
  set.set_schedule("0 2 * * 1");
  const auto refused = f.Call(&Schedules::SetQuietHours, set, f.member);
  CHECK_THAT(refused, StatusIs(StatusCode::kInvalidArgument, "day-of-week"));
  CHECK(Field(refused) == "schedule");
  set.set_schedule("CRON_TZ=Europe/Berlin 0 3 * * *");
  const auto chosen = f.Call(&Schedules::SetQuietHours, set, f.member);
  REQUIRE_THAT(chosen, IsOk());
  CHECK_FALSE(chosen->quiet_hours().is_default());
  CHECK(chosen->quiet_hours().time_zone() == "Europe/Berlin");
  CHECK(chosen->quiet_hours().next_time().seconds() > 0);
  set.clear_schedule();
  CHECK(f.Call(&Schedules::SetQuietHours, set, f.member)->quiet_hours().is_default());
}

TEST_CASE("where the deployment fixes quiet hours nobody's own hold") {
  Fixture f(false);
  f.world.Run("UPDATE users SET quiet_hours_schedule = 'CRON_TZ=UTC 0 3 * * *'");
  v1::GetQuietHoursRequest get;
  get.set_user("me");
  const auto hours = f.Call(&Schedules::GetQuietHours, get);
  REQUIRE_THAT(hours, IsOk());
  CHECK(hours->quiet_hours().time_zone() == "America/New_York");
  CHECK_FALSE(hours->quiet_hours().changeable());
  v1::SetQuietHoursRequest set;
  set.set_user("me");
  CHECK(Reason(f.Call(&Schedules::SetQuietHours, set)) == "QUIET_HOURS_FIXED");
}

TEST_CASE(
    "blackouts are declared, listed and taken back by those who may change what they are for") {
  Fixture f;
  v1::CreateBlackoutRequest create;
  create.set_first_date("2999-12-24");
  CHECK(Field(f.Call(&Schedules::CreateBlackout, create)) == "organization_id");
  create.set_organization_id(f.world.organization.ToString());
  create.set_last_date("2999-12-01");
  CHECK(Field(f.Call(&Schedules::CreateBlackout, create)) == "last_date");
  create.set_last_date("2999-12-26");
  create.set_reason("holidays");
  const auto made = f.Call(&Schedules::CreateBlackout, create);
  REQUIRE_THAT(made, IsOk());
  CHECK(made->blackout().last_date() == "2999-12-26");
  CHECK(made->blackout().creator_id() == f.world.owner.ToString());
  create.clear_organization_id();
  create.set_template_id(f.world.template_id.ToString());
  const auto for_template = f.Call(&Schedules::CreateBlackout, create);
  REQUIRE_THAT(for_template, IsOk());
  CHECK(for_template->blackout().template_id() == f.world.template_id.ToString());
  CHECK_THAT(f.Call(&Schedules::CreateBlackout, create, f.member),
             StatusIs(StatusCode::kPermissionDenied));

  v1::ListBlackoutsRequest list;
  list.set_organization_id(f.world.organization.ToString());
  CHECK(f.Call(&Schedules::ListBlackouts, list, f.member)->blackouts_size() == 2);
  v1::DeleteBlackoutRequest remove;
  remove.set_id(for_template->blackout().id());
  CHECK_THAT(f.Call(&Schedules::DeleteBlackout, remove, f.member),
             StatusIs(StatusCode::kPermissionDenied));
  CHECK_THAT(f.Call(&Schedules::DeleteBlackout, remove), IsOk());
  CHECK_THAT(f.Call(&Schedules::DeleteBlackout, remove), StatusIs(StatusCode::kNotFound));
  CHECK(f.Call(&Schedules::ListBlackouts, list)->blackouts_size() == 1);
}

}  // namespace
}  // namespace coder::api
