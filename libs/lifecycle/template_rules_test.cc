#include <catch2/catch.hpp>

#include "libs/lifecycle/job_tags.h"
#include "libs/lifecycle/names.h"
#include "libs/lifecycle/version_name.h"
#include "libs/lifecycle/workspace_policy.h"
#include "libs/status/error_reason.h"
#include "libs/testing/matchers.h"

namespace coder::lifecycle {
namespace {

using ::coder::testing::IsOk;
using ::coder::testing::StatusIs;

UserId Ann() { return UserId::Parse("00000000-0000-4000-8000-0000000000a1").value(); }

std::string ViolatedField(const absl::Status& status) {
  const auto violations = status::FieldViolationsOf(status);
  return violations.empty() ? "" : violations[0].field;
}

TEST_CASE("a made-up version name keeps the rules for names and follows from its number") {
  for (uint64_t random : {uint64_t{0}, uint64_t{99}, uint64_t{102399}, ~uint64_t{0}}) {
    CAPTURE(random);
    CHECK_THAT(CheckVersionName("name", MakeVersionName(random)), IsOk());
    CHECK(MakeVersionName(random) == MakeVersionName(random));
  }
  CHECK(MakeVersionName(0) != MakeVersionName(1));
  CHECK(MakeVersionName(0) != MakeVersionName(100));
  CHECK(MakeVersionName(0) != MakeVersionName(3200));
}

TEST_CASE("a job's tags say whose daemons may run it") {
  CHECK(WithJobScope({}, Ann()) == JobTags{{"scope", "organization"}, {"owner", ""}});
  CHECK(WithJobScope({{"gpu", "yes"}, {"owner", "somebody"}}, Ann()) ==
        JobTags{{"gpu", "yes"}, {"scope", "organization"}, {"owner", ""}});
  CHECK(WithJobScope({{"scope", "user"}, {"owner", "somebody"}}, Ann()) ==
        JobTags{{"scope", "user"}, {"owner", Ann().ToString()}});
}

TEST_CASE("tags nobody could mean are refused") {
  CHECK_THAT(CheckJobTags("tags", {{"gpu", "yes"}, {"scope", "user"}}), IsOk());
  CHECK_THAT(CheckJobTags("tags", {{"scope", "planet"}}),
             StatusIs(absl::StatusCode::kInvalidArgument, "planet"));
  CHECK_THAT(CheckJobTags("tags", {{"", "x"}}), StatusIs(absl::StatusCode::kInvalidArgument));
  CHECK_THAT(CheckJobTags("tags", {{"x", std::string(129, 'v')}}),
             StatusIs(absl::StatusCode::kInvalidArgument, "128"));
  JobTags many;
  for (int i = 0; i < 33; ++i) many[std::to_string(i)] = "";
  CHECK_THAT(CheckJobTags("tags", many), StatusIs(absl::StatusCode::kInvalidArgument, "33"));
}

TEST_CASE("a template's policy is checked field by field") {
  struct Row {
    std::string field;
    void (*set)(WorkspacePolicy&);
  };
  const Row rows[] = {
      {"", [](WorkspacePolicy&) {}},
      {"", [](WorkspacePolicy& p) { p.default_ttl = absl::Minutes(1); }},
      {"default_ttl", [](WorkspacePolicy& p) { p.default_ttl = absl::Seconds(59); }},
      {"default_ttl", [](WorkspacePolicy& p) { p.default_ttl = absl::Hours(24 * 30 + 1); }},
      {"", [](WorkspacePolicy& p) { p.activity_bump = absl::ZeroDuration(); }},
      {"activity_bump", [](WorkspacePolicy& p) { p.activity_bump = absl::Seconds(-1); }},
      {"activity_bump", [](WorkspacePolicy& p) { p.activity_bump = absl::InfiniteDuration(); }},
      {"autostart_allowed_days", [](WorkspacePolicy& p) { p.autostart_allowed_days = 128; }},
      {"autostart_allowed_days", [](WorkspacePolicy& p) { p.autostart_allowed_days = -1; }},
      {"failure_ttl", [](WorkspacePolicy& p) { p.failure_ttl = absl::Seconds(1); }},
      {"time_til_dormant", [](WorkspacePolicy& p) { p.time_til_dormant = absl::Seconds(1); }},
      {"time_til_dormant_autodelete",
       [](WorkspacePolicy& p) { p.time_til_dormant_autodelete = absl::Seconds(1); }},
      {"autostart_catch_up", [](WorkspacePolicy& p) { p.autostart_catch_up = -absl::Hours(1); }},
      {"", [](WorkspacePolicy& p) { p.deprecation_message = std::string(1024, 'x'); }},
      {"deprecation_message",
       [](WorkspacePolicy& p) { p.deprecation_message = std::string(1025, 'x'); }},
  };
  for (const Row& row : rows) {
    WorkspacePolicy policy;
    row.set(policy);
    CAPTURE(row.field);
    CHECK(ViolatedField(CheckWorkspacePolicy(policy)) == row.field);
  }
}

TEST_CASE("texts are measured in characters") {
  CHECK_THAT(CheckText("message", "äöü", 3), IsOk());
  CHECK_THAT(CheckText("message", "abcd", 3), StatusIs(absl::StatusCode::kInvalidArgument, "4"));
  CHECK_THAT(CheckText("message", absl::string_view("a\0b", 3), 9),
             StatusIs(absl::StatusCode::kInvalidArgument, "zero"));
}

}  // namespace
}  // namespace coder::lifecycle
