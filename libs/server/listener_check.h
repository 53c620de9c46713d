#pragma once

#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include <functional>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "libs/clock/clock.h"
#include "libs/server/grpc_options.h"
#include "libs/server/program.h"

namespace coder::server {

struct ListenerCheckOptions {
  absl::Duration interval = absl::Seconds(2);
  absl::Duration timeout = absl::Seconds(1);  // of one probe
  int failures = 3;                           // in a row, until the listener counts as deaf
};

// Proves every few seconds that the process's own gRPC listener still takes connections. gRPC 1.51
// stops listening for good after one "too many open files" on accept (CVE-2023-4785) while the
// process lives on; nothing inside the process can revive it. So the honest remedy is the one
// taken here: after some failures in a row `on_deaf` is called once, which ends the process with
// an error (Program::Fail drains the calls that still run), and the supervisor starts a new one.
// With the defaults that is within nine seconds. A descriptor is kept in reserve, so that
// exhaustion cannot blind the check itself.
class ListenerCheck final : public Part {
 public:
  // `server` is how the listener was configured, `port`, asked at Start, what it was given. Clock
  // and registry must outlive the check. `on_deaf` is called on the check's thread.
  ListenerCheck(ListenerCheckOptions options, const GrpcServerOptions& server,
                std::function<int()> port, std::function<void(const absl::Status&)> on_deaf,
                clock::Clock& clock, prometheus::Registry& registry);
  ~ListenerCheck() override;

  std::string name() const override { return "listener-check"; }
  absl::Status Start() override;
  void Drain(absl::Duration budget) override;
  void Stop() override;

 private:
  void Run(std::stop_token stop);
  absl::Status Probe();

  const ListenerCheckOptions options_;
  const std::string listen_;
  const bool tls_;
  const std::function<int()> port_;
  const std::function<void(const absl::Status&)> on_deaf_;
  clock::Clock& clock_;
  prometheus::Counter& failed_;  // rises: the listener is overloaded or deaf
  int spare_ = -1;               // only the check's thread after Start
  std::jthread thread_;
};

// Opens a TCP connection, greets as an HTTP/2 client, or with `tls` as a TLS client, and waits for
// any answer or an orderly end: it proves that the connection was accepted. UNAVAILABLE when none
// came within `timeout` or the connection was refused or reset.
absl::Status ProbeListener(const std::string& host, int port, bool tls, absl::Duration timeout);

}  // namespace coder::server
