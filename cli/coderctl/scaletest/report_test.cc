#include "cli/coderctl/scaletest/report.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace coder::cli::scaletest {
namespace {

Report Sample() {
  Report report{.kind = "autostart",
                .run = "ab12cd",
                .begun = absl::FromUnixSeconds(1),
                .ended = absl::FromUnixSeconds(100),
                .origin = absl::FromUnixSeconds(60)};
  report.facts = {{"template", "<echo>"}, {"workspaces", "2"}};
  report.timelines = {{.name = "scaletest-ab12cd-0",
                       .scheduled = absl::FromUnixSeconds(60),
                       .created = absl::FromUnixSeconds(61),
                       .acquired = absl::FromUnixSeconds(62),
                       .completed = absl::FromUnixSeconds(64)},
                      {.name = "scaletest-ab12cd-1", .error_kind = "stop", .error = "no </svg>"}};
  report.measures = {{"trigger_to_completed", "due until started", {absl::Seconds(4)}}};
  report.errors = {{"stop", 1}};
  return report;
}

TEST_CASE("the text names facts, latencies and errors") {
  const std::string text = TextOf(Sample());
  CHECK_THAT(text, Catch::Contains("workspaces           2\n"));
  CHECK_THAT(text, Catch::Contains("trigger_to_completed  1      4.000  4.000  4.000  4.000"));
  CHECK_THAT(text, Catch::Contains("stop   2\n"));
  Report clean = Sample();
  clean.errors.clear();
  clean.timelines.pop_back();
  CHECK_THAT(TextOf(clean), Catch::EndsWith("\nno errors\n"));
}

TEST_CASE("the JSON has every latency by name and every timeline") {
  const auto json = nlohmann::json::parse(JsonOf(Sample()));
  CHECK(json["latency"]["trigger_to_completed_p95_ms"] == 4000.0);
  CHECK(json["latency"]["trigger_to_completed_count"] == 1);
  CHECK(json["errors"]["stop"] == 2);
  REQUIRE(json["timelines"].size() == 2);
  CHECK(json["timelines"][0]["create_time"] == "1970-01-01T00:01:01+00:00");
  CHECK(json["timelines"][0]["config_time"].is_null());
  CHECK(json["timelines"][1]["error_kind"] == "stop");
}

TEST_CASE("the page stands alone and takes no markup from names") {
  const std::string page = HtmlOf(Sample());
  CHECK_THAT(page, Catch::StartsWith("<!doctype html>"));
  CHECK_THAT(page, Catch::Contains("<polyline"));
  CHECK_THAT(page, Catch::Contains("&lt;echo&gt;"));
  CHECK_THAT(page, Catch::Contains("no &lt;/svg&gt;"));
  for (const char* outside : {"http://", "https://", "src=", "href=", "<script", "%%"}) {
    INFO(outside);
    CHECK_THAT(page, !Catch::Contains(outside));
  }
}

TEST_CASE("a page without a build is still a page") {
  Report report = Sample();
  report.timelines.clear();
  report.measures.clear();
  CHECK_THAT(HtmlOf(report), Catch::EndsWith("</body></html>\n"));
}

TEST_CASE("a file that cannot be written is an error that names it") {
  const std::string folder = std::getenv("TEST_TMPDIR");
  REQUIRE(Write(Sample(), {"json:" + folder + "/r.json", "html:" + folder + "/r.html"}).ok());
  std::stringstream text;
  text << std::ifstream(folder + "/r.json").rdbuf();
  CHECK(text.str() == JsonOf(Sample()));
  CHECK_THAT(std::string(Write(Sample(), {"json:/no/such/folder/r"}).message()),
             Catch::Contains("/no/such/folder/r"));
}

}  // namespace
}  // namespace coder::cli::scaletest
