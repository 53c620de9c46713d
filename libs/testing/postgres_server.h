#pragma once

#include <memory>
#include <string>

#include "libs/testing/child_process.h"

namespace coder::testing {

/// A real PostgreSQL for one test process, on a unix socket of its own: fsync off, 100
/// connections, no passwords, superuser "postgres". Anything that keeps it from running ends the
/// test process with a sentence and the server's log. One thread at a time, and started by a
/// thread that lives as long as it.
class PostgresServer {
 public:
  /// The server all tests of this process share, started on first use and gone with the process.
  static PostgresServer& Shared();

  /// Starts a server of its own, for tests that stop it.
  PostgresServer();
  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  /// Creates an empty database, or a copy of `database_template` (to which nobody may be
  /// connected), and returns its name.
  std::string CreateDatabase(const std::string& database_template = "template0");

  /// libpq's address of a database.
  std::string Conninfo(const std::string& database, const std::string& user = "postgres") const;

  /// Ends the server at once, as a crash would; sessions break. The data stays.
  void StopImmediately();

  /// Starts it again on the same data and socket, and waits until it accepts sessions.
  void Start();

  void Restart() {
    StopImmediately();
    Start();
  }

 private:
  std::string folder_;
  std::string program_folder_;
  std::unique_ptr<ChildProcess> process_;
  int databases_made_ = 0;
};

}  // namespace coder::testing
