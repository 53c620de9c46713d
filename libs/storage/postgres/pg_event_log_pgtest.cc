#include <catch2/catch.hpp>
#include <stdexcept>
#include <string>

#include "absl/strings/str_cat.h"
#include "libs/clock/deadline.h"
#include "libs/fanout/fake_log.h"
#include "libs/fanout/log_reader_contract.h"
#include "libs/storage/postgres/pg_event_log.h"
#include "libs/storage/postgres/pg_sequencer.h"
#include "libs/storage/postgres/testing/migrated_database.h"

namespace coder::storage {
namespace {

pg::ConnectOptions As(const MigratedDatabase& database, const std::string& role) {
  return {.conninfo = absl::StrCat(database.conninfo(), " options='-c role=", role, "'"),
          .application_name = "test"};
}

class PgLogUnderTest : public fanout::LogUnderTest {
 public:
  fanout::LogReader& reader() override { return log_; }

  void Append(int64_t events) override {
    for (int64_t i = 0; i < events; ++i) {
      std::string payload;
      events::AppendFramed(fanout::EventBytes("org", "owner", "workspace", ++version_), payload);
      Run("INSERT INTO outbox (workspace_id, workspace_version, payload) "
          "VALUES ('00000000-0000-0000-0000-000000000001', $1, $2)",
          {version_, pg::Bytea{payload}});
    }
    const auto session = sequencer_.Session();
    REQUIRE(session.ok());
    const auto sequenced = sequencer_.Sequence(*session, 1000, 0);
    INFO(sequenced.status());
    REQUIRE(sequenced.ok());
    REQUIRE(sequenced->events == events);
    REQUIRE(sequenced->packs.size() == 1);
  }

  // Whole partitions are dropped in earnest, a million positions each; the reader sees the same.
  void DropBelow(int64_t floor) override {
    Run("DELETE FROM build_event_packs WHERE last_position < $1", {floor});
    Run("UPDATE relay_cursor SET log_floor = (SELECT min(first_position) FROM build_event_packs)");
  }

  void SetBack(int64_t head) override {
    Run("DELETE FROM build_event_packs WHERE last_position > $1", {head});
    Run("UPDATE relay_cursor SET head = $1, epoch = epoch + 1", {head});
  }

 private:
  void Run(const std::string& sql, std::vector<pg::Param> params = {}) {
    const auto done =
        database_.pool().Execute(sql, std::move(params), clock::Deadline::After(absl::Minutes(1)));
    if (!done.ok()) throw std::runtime_error(done.status().ToString());
  }

  MigratedDatabase database_;
  PgSequencer sequencer_{As(database_, "coder_relay")};
  pg::Pool pool_{{.connect = As(database_, "coder_api"), .max_connections = 2}};
  PgEventLog log_{pool_};
  int64_t version_ = 0;
};

TEST_CASE("the log in PostgreSQL keeps the contract of a log") {
  fanout::CheckLogReaderContract([] { return std::make_unique<PgLogUnderTest>(); });
}

}  // namespace
}  // namespace coder::storage
