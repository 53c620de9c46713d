#include "libs/testing/postgres_server.h"

#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "libs/clock/deadline.h"
#include "libs/pg/connection.h"

namespace coder::testing {
namespace {

constexpr absl::Duration kStartPatience = absl::Seconds(60);

[[noreturn]] void Die(const std::string& sentence, const std::string& log_path) {
  std::cerr << sentence << "\n" << std::ifstream(log_path).rdbuf() << std::endl;
  std::_Exit(1);
}

// /usr/lib/postgresql/<version>/bin, the newest one.
std::string ProgramFolder() {
  std::filesystem::path newest;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/usr/lib/postgresql", error)) {
    const auto folder = entry.path() / "bin";
    if (std::filesystem::exists(folder / "postgres") && folder > newest) newest = folder;
  }
  if (newest.empty()) {
    Die("find PostgreSQL: no /usr/lib/postgresql/*/bin/postgres; run: apt-get install postgresql",
        "/dev/null");
  }
  return newest;
}

// A socket's path may have 107 characters, so TEST_TMPDIR is too long for it.
std::string MakeFolder() {
  std::string folder = "/tmp/coder-pg.XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) Die("make a folder in /tmp for PostgreSQL", "/dev/null");
  if (geteuid() != 0) return folder;
  const passwd* const user = getpwnam("postgres");
  if (user == nullptr || chown(folder.c_str(), user->pw_uid, user->pw_gid) != 0) {
    Die("give a folder to the system user postgres; run: apt-get install postgresql", "/dev/null");
  }
  return folder;
}

absl::StatusOr<std::unique_ptr<pg::Connection>> OpenMaintenance(const PostgresServer& server) {
  return pg::Connection::Open({.conninfo = server.Conninfo("template1"),
                               .application_name = "test fixture",
                               .statement_timeout = absl::ZeroDuration()});
}

}  // namespace

PostgresServer& PostgresServer::Shared() {
  static PostgresServer server;
  return server;
}

PostgresServer::PostgresServer() : folder_(MakeFolder()), program_folder_(ProgramFolder()) {
  const std::string log = folder_ + "/initdb.log";
  ChildProcess initdb(
      {.argv = {program_folder_ + "/initdb", "-D", folder_ + "/data", "-U", "postgres",
                "--auth=trust", "--no-sync", "-E", "UTF8", "--no-locale", "--no-instructions"},
       .log_path = log,
       .as_postgres = geteuid() == 0});
  if (initdb.Wait() != 0) Die("initialise a PostgreSQL data folder: initdb failed", log);
  Start();
}

PostgresServer::~PostgresServer() {
  StopImmediately();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void PostgresServer::Start() {
  const std::string log = folder_ + "/postgres.log";
  process_ = std::make_unique<ChildProcess>(ChildProcessOptions{
      .argv = {program_folder_ + "/postgres", "-D", folder_ + "/data", "-c",
               "listen_addresses=", "-c", "unix_socket_directories=" + folder_, "-c", "fsync=off",
               "-c", "max_connections=100", "-c", "deadlock_timeout=50ms"},
      .log_path = log,
      .as_postgres = geteuid() == 0,
      .signal_when_orphaned = SIGQUIT});
  const auto deadline = clock::Deadline::After(kStartPatience);
  while (!OpenMaintenance(*this).ok()) {
    if (!process_->Running()) Die("start PostgreSQL: it ended at once", log);
    if (deadline.Expired()) Die("start PostgreSQL: it accepts no sessions", log);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

void PostgresServer::StopImmediately() {
  if (process_ != nullptr) process_->End(SIGQUIT);
}

std::string PostgresServer::CreateDatabase(const std::string& database_template) {
  const std::string name = absl::StrCat("test_", ++databases_made_);
  auto connection = OpenMaintenance(*this);
  absl::Status created = connection.status();
  if (created.ok()) {
    created =
        (*connection)
            ->ExecuteScript(absl::StrCat("CREATE DATABASE ", name, " TEMPLATE ", database_template),
                            clock::Deadline::After(kStartPatience));
  }
  if (!created.ok()) Die(absl::StrCat("create a database: ", created.ToString()), "/dev/null");
  return name;
}

std::string PostgresServer::Conninfo(const std::string& database, const std::string& user) const {
  return absl::StrCat("host=", folder_, " dbname=", database, " user=", user);
}

}  // namespace coder::testing
