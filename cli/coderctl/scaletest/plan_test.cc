#include "cli/coderctl/scaletest/plan.h"

#include <catch2/catch.hpp>

namespace coder::cli::scaletest {
namespace {

AutostartOptions Options() {
  AutostartOptions options;
  options.load.workspaces = 1;
  return options;
}

TEST_CASE("names tell the run they belong to, and foreign names none") {
  CHECK(NameOf("k3j9ab", 12) == "scaletest-k3j9ab-12");
  CHECK(RunOf(NameOf("k3j9ab", 12)) == "k3j9ab");
  for (const char* name : {"scaletest", "scaletest-", "scaletest-ab", "scaletest-ab-", "dev",
                           "scaletest-ab-x", "my-scaletest-ab-1", "scaletest-a-b-1"}) {
    INFO(name);
    CHECK(RunOf(name).empty());
  }
  CHECK(PrefixOf("ab") == "scaletest-ab-");
  CHECK(PrefixOf("") == "scaletest-");
}

TEST_CASE("the start is a whole minute, never sooner than the delay") {
  const absl::Time nine = absl::FromCivil(absl::CivilMinute(2026, 3, 1, 9, 0), absl::UTCTimeZone());
  CHECK(AutostartTime(nine, absl::Minutes(2)) == nine + absl::Minutes(2));
  CHECK(AutostartTime(nine + absl::Nanoseconds(1), absl::Minutes(2)) == nine + absl::Minutes(3));
  CHECK(AutostartTime(nine + absl::Seconds(59), absl::Seconds(1)) == nine + absl::Minutes(1));
  CHECK(DailyAt(nine + absl::Minutes(5)) == "CRON_TZ=UTC 5 9 * * *");
}

TEST_CASE("options that cannot be are refused with what can") {
  CHECK(Check(Options()).ok());
  AutostartOptions none = Options();
  none.load.workspaces = 0;
  CHECK_THAT(std::string(Check(none).message()), Catch::EndsWith("pass --workspace-count"));
  AutostartOptions short_wait = Options();
  short_wait.build_timeout = short_wait.load.job_timeout;
  CHECK_THAT(std::string(Check(short_wait).message()),
             Catch::EndsWith("raise --autostart-build-timeout"));
  for (const char* output : {"json", "json:", "xml:file", ""}) {
    AutostartOptions bad = Options();
    bad.load.outputs = {output};
    CHECK(Check(bad).code() == absl::StatusCode::kInvalidArgument);
  }
  AutostartOptions good = Options();
  good.load.outputs = {"text", "json:-", "html:/tmp/a:b.html"};
  CHECK(Check(good).ok());
}

}  // namespace
}  // namespace coder::cli::scaletest
