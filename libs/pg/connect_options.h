#pragma once

#include <string>

#include "absl/time/time.h"

namespace coder::pg {

/// How to reach a database and what every session on it is held to. What the conninfo string says
/// itself wins over the values here.
struct ConnectOptions {
  /// libpq's key=value or URI form; may list all hosts of a cluster with
  /// target_session_attrs=read-write.
  std::string conninfo;
  /// Shown in pg_stat_activity: the service's name.
  std::string application_name;
  /// For each host; libpq counts in whole seconds and takes less than 2 s for 2 s.
  absl::Duration connect_timeout = absl::Seconds(3);
  /// A quiet dead server is noticed after idle + interval * count.
  absl::Duration keepalive_idle = absl::Seconds(20);
  absl::Duration keepalive_interval = absl::Seconds(5);
  int keepalive_count = 3;
  /// Sent bytes not acknowledged for this long end the connection.
  absl::Duration tcp_user_timeout = absl::Seconds(20);
  /// Server-side limits of the session; zero is no limit. A nearer deadline lowers the first one
  /// for its transaction.
  absl::Duration statement_timeout = absl::Seconds(5);
  absl::Duration lock_timeout = absl::Seconds(1);
  absl::Duration idle_in_transaction_timeout = absl::Seconds(10);
};

}  // namespace coder::pg
