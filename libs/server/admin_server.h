#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "libs/metrics/metrics.h"
#include "libs/server/options.h"
#include "libs/server/program.h"

namespace coder::server {

struct AdminOptions {
  std::string listen = "127.0.0.1:0";
  std::string port_file;  // the bound port is written here, if set
  absl::Duration request_timeout = absl::Seconds(5);
  int max_connections = 64;
};

// Registers admin-listen and admin-port-file, with the values in `options` as defaults.
void RegisterAdminOptions(OptionSet& set, AdminOptions& options);

// Why a process may not get traffic now; OK when it may. Called on the admin thread at each
// /readyz, so it looks at what is known and never waits.
using ReadinessCheck = std::function<absl::Status()>;

// What one part of the process does now, for a person who looks for the cause of trouble. Called on
// the admin thread at each request, so it tells what is known and never waits. It names by id and
// tells no secret: what it returns is shown as it is.
using DebugPage = std::function<nlohmann::ordered_json()>;

// The operators' HTTP/1.1 listener, plaintext, on a thread of its own: GET /metrics, /livez (the
// process runs, nothing else), /readyz (200, or 503 with the failing checks), /version, /config
// (secrets masked), GET and PUT /log-level, GET /debug (the list of the pages below it). Requests
// over 8 KiB are refused.
class AdminServer final : public Part {
 public:
  // `metrics` must outlive the server.
  AdminServer(AdminOptions options, metrics::Metrics& metrics);
  ~AdminServer() override;

  // Before Start. Checks are listed by name on /readyz.
  void AddReadinessCheck(std::string name, ReadinessCheck check);
  // Before Start.
  void SetConfig(std::vector<ConfigValue> values);
  // Before Start. Serves the page as JSON at /debug/<name>; `summary` is one line for the list.
  void AddDebugPage(const std::string& name, std::string summary, DebugPage page);

  std::string name() const override { return "admin-server"; }
  // UNAVAILABLE when the address cannot be bound, INVALID_ARGUMENT when it is none.
  absl::Status Start() override;
  // Answers on, so that the drain can be watched, but /readyz says "draining".
  void Drain(absl::Duration budget) override;
  void Stop() override;

  // Makes /readyz say "draining" from now on. Any thread.
  void SetDraining();

  // The bound port, once started.
  int port() const { return port_; }

 private:
  friend class AdminSession;
  class Listener;

  struct Reply {
    int status = 200;
    std::string body;
    const char* type = "text/plain; charset=utf-8";
    const char* allow = nullptr;  // of a 405
  };

  Reply Answer(const std::string& method, const std::string& target, const std::string& body) const;
  Reply LogLevel(const std::string& method, const std::string& query,
                 const std::string& body) const;
  Reply Ready() const;
  Reply Config() const;
  Reply DebugIndex() const;

  const AdminOptions options_;
  metrics::Metrics& metrics_;
  std::vector<std::pair<std::string, ReadinessCheck>> checks_;
  std::vector<ConfigValue> config_;
  // By path; what only GET may ask for.
  std::map<std::string, std::function<Reply()>, std::less<>> pages_;
  std::vector<std::pair<std::string, std::string>> debug_index_;
  std::atomic<bool> draining_{false};
  int port_ = 0;
  std::unique_ptr<Listener> listener_;
};

// Writes "<port>\n" to `path` in one step, so that a reader never sees half of it.
absl::Status WritePortFile(const std::string& path, int port);

}  // namespace coder::server
