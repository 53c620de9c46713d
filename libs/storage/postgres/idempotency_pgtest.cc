#include <atomic>
#include <catch2/catch.hpp>
#include <thread>
#include <vector>

#include "libs/status/error_reason.h"
#include "libs/storage/postgres/idempotency.h"
#include "libs/storage/postgres/testing/migrated_database.h"
#include "libs/testing/matchers.h"

namespace coder::storage {
namespace {

using ::coder::testing::IsOk;
using ::coder::testing::StatusIs;

pg::TransactionOptions Ample() { return {.deadline = clock::Deadline::After(absl::Minutes(1))}; }

RequestKey Key(const std::string& request) {
  return {.caller = "user/ada",
          .method = "/coder.api.v1.X/Create",
          .request_id = ids::Uuid::Parse("01890a5d-ac96-774b-bcce-b302099a8057").value(),
          .request = request};
}

// The answer to `key`: a stored one, else `fresh`, which is then stored.
absl::StatusOr<std::string> Answer(pg::Pool& pool, const RequestKey& key, std::string fresh) {
  return pg::RunInTransaction(pool, Ample(),
                              [&](pg::Transaction& tx) -> absl::StatusOr<std::string> {
                                auto found = FindResponse(tx, key);
                                if (!found.ok()) return found.status();
                                if (found->has_value()) return **found;
                                if (auto stored = StoreResponse(tx, key, fresh); !stored.ok())
                                  return stored;
                                return fresh;
                              });
}

TEST_CASE("the second of two equal requests gets the answer of the first") {
  MigratedDatabase database;
  CHECK(Answer(database.pool(), Key("a"), "first").value() == "first");
  CHECK(Answer(database.pool(), Key("a"), "second").value() == "first");
  RequestKey other = Key("a");
  other.caller = "user/bob";
  CHECK(Answer(database.pool(), other, "bob's").value() == "bob's");
}

TEST_CASE("an id is not for two requests") {
  MigratedDatabase database;
  REQUIRE_THAT(Answer(database.pool(), Key("a"), "first"), IsOk());
  const auto reused = Answer(database.pool(), Key("b"), "second");
  CHECK_THAT(reused, StatusIs(absl::StatusCode::kInvalidArgument, "another request"));
  CHECK(status::ReasonOf(reused.status())->reason == "REQUEST_ID_REUSED");
  CHECK(status::FieldViolationsOf(reused.status()).at(0).field == "request_id");
}

TEST_CASE("an id is free again after 24 hours") {
  MigratedDatabase database;
  REQUIRE_THAT(Answer(database.pool(), Key("a"), "first"), IsOk());
  REQUIRE_THAT(database.pool().Execute(
                   "UPDATE idempotent_requests SET created_at = now() - interval '25 hours'", {},
                   Ample().deadline),
               IsOk());
  CHECK(Answer(database.pool(), Key("b"), "second").value() == "second");
}

TEST_CASE("equal requests at the same time have one effect") {
  MigratedDatabase database;
  std::vector<std::string> answers(8);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < answers.size(); ++i) {
    threads.emplace_back([&, i] {
      answers[i] = Answer(database.pool(), Key("a"), std::to_string(i)).value_or("failed");
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(answers[0] != "failed");
  CHECK(answers == std::vector<std::string>(answers.size(), answers[0]));
}

}  // namespace
}  // namespace coder::storage
