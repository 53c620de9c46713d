#include "libs/server/admin_server.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "libs/clock/system_clock.h"
#include "libs/server/http_get_for_test.h"
#include "libs/server/log.h"
#include "libs/server/loop.h"

namespace coder::server {
namespace {

bool Has(const std::string& text, const std::string& part) {
  INFO(text);
  CHECK(text.find(part) != std::string::npos);
  return text.find(part) != std::string::npos;
}

struct Fixture {
  metrics::Metrics metrics{"1.2.3", "abc", "g++"};
  AdminServer admin{{}, metrics};
};

TEST_CASE_METHOD(Fixture, "each page answers and unknown ones say what exists") {
  absl::Status database = absl::UnavailableError("no connection");
  admin.AddReadinessCheck("database", [&] { return database; });
  admin.AddReadinessCheck("other", [] { return absl::OkStatus(); });
  admin.SetConfig({{"name", "value", Origin::kFlag}, {"password", "***", Origin::kFile}});
  REQUIRE(admin.Start().ok());
  const int port = admin.port();
  Has(HttpRequest(port, "GET", "/livez"), "200 OK");
  const std::string unready = HttpRequest(port, "GET", "/readyz");
  Has(unready, "503 ");
  Has(unready, "failing database: no connection\nok other\n");
  database = absl::OkStatus();
  Has(HttpRequest(port, "GET", "/readyz?verbose"), "200 OK");
  Has(HttpRequest(port, "GET", "/version"), "\"version\":\"");
  const std::string config = HttpRequest(port, "GET", "/config");
  Has(config, "\"origin\": \"flag\"");
  Has(config, "\"value\": \"***\"");
  Has(HttpRequest(port, "GET", "/"), "404 Not Found");
  const std::string refused = HttpRequest(port, "POST", "/metrics");
  Has(refused, "405 ");
  Has(refused, "Allow: GET\r\n");
  Has(refused, "/metrics takes GET only");
  admin.Drain(absl::ZeroDuration());
  Has(HttpRequest(port, "GET", "/readyz"), "draining");
  Has(HttpRequest(port, "GET", "/livez"), "200 OK");
}

TEST_CASE_METHOD(Fixture, "the log level is read and changed") {
  REQUIRE(admin.Start().ok());
  Has(HttpRequest(admin.port(), "PUT", "/log-level", "error\n"), "200 OK");
  CHECK(log::CurrentLevel() == log::Level::kError);
  Has(HttpRequest(admin.port(), "GET", "/log-level"), "\r\n\r\nerror\n");
  Has(HttpRequest(admin.port(), "PUT", "/log-level", "loud"), "400 ");
  log::SetLevel(log::Level::kInfo);
}

TEST_CASE_METHOD(Fixture, "the level is changed by a query as well, and by nobody who only posts") {
  REQUIRE(admin.Start().ok());
  Has(HttpRequest(admin.port(), "PUT", "/debug/log-level?level=debug"), "\r\n\r\ndebug\n");
  CHECK(log::CurrentLevel() == log::Level::kDebug);
  Has(HttpRequest(admin.port(), "PUT", "/debug/log-level?level=loud"), "400 ");
  const std::string posted = HttpRequest(admin.port(), "POST", "/debug/log-level?level=error");
  Has(posted, "405 ");
  Has(posted, "Allow: GET, PUT\r\n");
  Has(HttpRequest(admin.port(), "GET", "/debug/log-level"), "\r\n\r\ndebug\n");
  log::SetLevel(log::Level::kInfo);
}

TEST_CASE_METHOD(Fixture, "debug pages are listed, tell the moment and only answer GET") {
  int asked = 0;
  admin.AddDebugPage("queue", "what waits", [&] {
    return nlohmann::ordered_json{{"z", ++asked}, {"a", "<script>\"\n\xff</script>"}};
  });
  admin.SetConfig({{"password", "***", Origin::kFile}});
  REQUIRE(admin.Start().ok());
  const int port = admin.port();
  for (const char* index : {"/debug", "/debug/"}) {
    Has(HttpRequest(port, "GET", index), "/debug/queue        what waits\n");
  }
  Has(HttpRequest(port, "GET", "/debug"), "/debug/config ");
  Has(HttpRequest(port, "GET", "/debug/config"), "\"origin\": \"file\"");
  Has(HttpRequest(port, "POST", "/debug/queue"), "405 ");
  CHECK(asked == 0);
  Has(HttpRequest(port, "GET", "/debug/queue"), "\"z\": 1");
  const std::string page = HttpRequest(port, "GET", "/debug/queue?x");
  Has(page, "{\n  \"z\": 2,\n  \"a\": \"<script>\\\"\\n\xef\xbf\xbd</script>\"\n}\n");
  // No browser may take it for anything but data.
  Has(page, "Content-Type: application/json\r\n");
  Has(page, "X-Content-Type-Options: nosniff\r\n");
  Has(HttpRequest(port, "GET", "/debug/nothing"), "404 ");
}

TEST_CASE_METHOD(Fixture, "oversize, malformed and silent requests end with the connection") {
  AdminServer hasty({.request_timeout = absl::Milliseconds(50)}, metrics);
  REQUIRE(hasty.Start().ok());
  Has(HttpRequest(hasty.port(), "PUT", "/log-level", std::string(9000, 'x')), "413 ");
  Has(ExchangeRaw(hasty.port(), "nonsense\r\n\r\n"), "400 ");
  CHECK(ExchangeRaw(hasty.port(), "GET /livez HT").empty());
  Has(HttpRequest(hasty.port(), "GET", "/livez"), "200 OK");
}

TEST_CASE_METHOD(Fixture, "a taken or wrong address is a sentence; the port reaches its file") {
  const char* dir = std::getenv("TEST_TMPDIR");
  const std::string path = std::string(dir ? dir : "/tmp") + "/admin-port";
  AdminServer first({.port_file = path}, metrics);
  REQUIRE(first.Start().ok());
  int port = 0;
  std::ifstream(path) >> port;
  CHECK(port == first.port());
  AdminServer second({.listen = "127.0.0.1:" + std::to_string(port)}, metrics);
  const absl::Status taken = second.Start();
  CHECK(taken.code() == absl::StatusCode::kUnavailable);
  CHECK(taken.message().find("choose another with --admin-listen") != absl::string_view::npos);
}

TEST_CASE_METHOD(Fixture, "promtool accepts the metrics") {
  clock::SystemClock clock;
  Loop loop(
      {.name = "l"}, [](std::stop_token) { return PassOutcome::kIdle; }, clock, metrics.registry());
  REQUIRE(admin.Start().ok());
  const std::string page = HttpRequest(admin.port(), "GET", "/metrics");
  const std::string text = page.substr(page.find("\r\n\r\n") + 4);
  Has(text, "coderd_build_info{");
  Has(text, "process_resident_memory_bytes ");
  FILE* promtool = popen("promtool check metrics 2>&1", "w");
  REQUIRE(promtool != nullptr);
  fwrite(text.data(), 1, text.size(), promtool);
  CHECK(pclose(promtool) == 0);
}

}  // namespace
}  // namespace coder::server
