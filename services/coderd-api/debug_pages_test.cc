#include "services/coderd-api/debug_pages.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

namespace coder::api {
namespace {

WatchView At(const std::string& caller, WatchState state, std::optional<int64_t> position) {
  return {.caller = caller, .state = state, .position = position, .age = absl::Seconds(3)};
}

TEST_CASE("the watches furthest behind come first, ten at most, and all are counted") {
  std::vector<WatchView> watches = {At("new", WatchState::kFollowing, 1000),
                                    At("old", WatchState::kStalled, 10),
                                    At("fresh", WatchState::kSnapshot, std::nullopt)};
  for (int i = 0; i < 20; ++i) watches.push_back(At("many", WatchState::kFollowing, 500));
  const auto page = WatchesPage(watches, {.watches = 77}, 1000);
  CHECK(page["watches"] == 23);
  CHECK(page["most"] == 77);
  CHECK(page["by_state"] ==
        nlohmann::ordered_json(
            {{"snapshot", 1}, {"replaying", 0}, {"following", 21}, {"stalled", 1}}));
  REQUIRE(page["slowest"].size() == 10);
  CHECK(page["slowest"][0]["caller"] == "fresh");
  CHECK_FALSE(page["slowest"][0].contains("position"));
  CHECK(page["slowest"][1]["caller"] == "old");
  CHECK(page["slowest"][1]["behind"] == 990);
  CHECK(page["slowest"][1]["state"] == "stalled");
  CHECK(page["slowest"][1]["age_seconds"] == 3.0);
  CHECK(page["slowest"][9]["caller"] == "many");
}

TEST_CASE("a watch ahead of a head read before it is not behind") {
  const auto page = WatchesPage({At("a", WatchState::kFollowing, 12)}, {}, 10);
  CHECK(page["slowest"][0]["behind"] == 0);
}

TEST_CASE("jobs are told with the age of their count and who waits for them") {
  LatestJobCounts counted;
  CHECK_FALSE(JobsPage(counted.Get(), absl::Seconds(9), {}, 0).contains("counted_seconds_ago"));
  counted.Set({{.provisioner = "echo", .status = lifecycle::JobStatus::kPending, .jobs = 4}},
              absl::Seconds(2));
  JobDomain domain{.provisioners = {"echo"}, .tags = {{"scope", "organization"}}};
  const auto page =
      JobsPage(counted.Get(), absl::Seconds(9), {{.domain = domain, .slots = 6, .daemons = 3}}, 5);
  CHECK(page["counted_seconds_ago"] == 7.0);
  CHECK(page["unfinished"][0] ==
        nlohmann::ordered_json({{"provisioner", "echo"}, {"status", "pending"}, {"jobs", 4}}));
  CHECK(page["acquire_streams"] == 5);
  CHECK(page["waiting"][0]["slots"] == 6);
  CHECK(page["waiting"][0]["daemons"] == 3);
  CHECK(page["waiting"][0]["tags"]["scope"] == "organization");
}

}  // namespace
}  // namespace coder::api
