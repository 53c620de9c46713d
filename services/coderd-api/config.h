#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "libs/schedule/quiet_hours.h"
#include "libs/server/admin_server.h"
#include "libs/server/common_options.h"
#include "libs/server/grpc_options.h"
#include "libs/server/options.h"
#include "libs/server/secret.h"

namespace coder::api {

/// What coderd-api is told by flags, environment and file. Immutable once loaded.
struct Config {
  server::CommonOptions common;
  server::AdminOptions admin;
  server::GrpcServerOptions grpc;

  /// libpq's address; holds a password.
  server::Secret postgres_url;
  /// Of the schema's owner, for `migrate` and `new-epoch`; empty: postgres_url.
  server::Secret migrate_url;
  int postgres_max_connections = 20;
  /// Empty: watches follow the log by polling it.
  server::Secret nats_url;

  /// The text of the keyring (libs/crypto/keyring.h).
  server::Secret keyring;
  /// What the autostart-scheduler presents; empty: it cannot call.
  server::Secret service_token;

  /// The URL people and agents reach the deployment under.
  std::string access_url = "http://localhost:3000";
  std::vector<std::string> experiments;

  /// When required stops are done, for users who have not chosen.
  schedule::QuietHoursTerms quiet_hours;

  /// How long a session lasts after its last use.
  absl::Duration session_lifetime = absl::Hours(24);
  /// How long a provisioner holds a job after each heartbeat.
  absl::Duration lease_duration = absl::Seconds(30);
  /// How long records of the audit log are kept.
  absl::Duration audit_retention = absl::Hours(90 * 24);
  /// The longest a unary call may take, whatever its client allows.
  absl::Duration max_call_duration = absl::Seconds(30);

  /// Password checks at once; each takes 19 MiB and a core.
  int max_concurrent_password_checks = 2;
  /// Log-ins at once and then a minute, of one e-mail address and of one client address.
  int login_burst_per_email = 10;
  int login_burst_per_address = 60;
  /// Watches of all builds at once, of one caller and in this process.
  int max_watches_per_caller = 16;
  int max_watches = 10'000;
  /// Snapshots for watches under way at once in this process.
  int max_snapshots = 32;
  /// Events kept in memory for watches; older ones are read from the log.
  int ring_events = 65'536;
  /// Bytes of events in one response of a watch; a larger event comes alone.
  int watch_batch_bytes = 256 * 1024;
};

/// Registers every option of coderd-api with the defaults in `config`, and its commands. `config`
/// must outlive the set.
void RegisterOptions(server::OptionSet& set, Config& config);

}  // namespace coder::api
