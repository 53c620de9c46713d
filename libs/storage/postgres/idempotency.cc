#include "libs/storage/postgres/idempotency.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"

namespace coder::storage {
namespace {

// An advisory lock and not an early row: the second of two concurrent requests must wait for the
// first one's answer, which is not known yet when the first begins.
constexpr char kLock[] =
    "SELECT pg_advisory_xact_lock(hashtextextended($1::text || chr(31) || $2::text || chr(31) || "
    "$3::text, 0))";

constexpr char kForgetExpired[] =
    "DELETE FROM idempotent_requests WHERE caller = $1 AND method = $2 AND request_id = $3 "
    "AND created_at < now() - interval '24 hours'";

constexpr char kFind[] =
    "SELECT response, request_hash = sha256($4::bytea) AS same FROM idempotent_requests "
    "WHERE caller = $1 AND method = $2 AND request_id = $3";

constexpr char kStore[] =
    "INSERT INTO idempotent_requests (caller, method, request_id, request_hash, response) "
    "VALUES ($1, $2, $3, sha256($4::bytea), $5)";

}  // namespace

absl::StatusOr<std::optional<std::string>> FindResponse(pg::Transaction& tx,
                                                        const RequestKey& key) {
  const std::string id = key.request_id.ToString();
  ASSIGN_OR_RETURN(
      const std::vector<pg::Result> results,
      tx.Execute(pg::Pipeline()
                     .Add(kLock, {key.caller, key.method, id})
                     .Add(kForgetExpired, {key.caller, key.method, id})
                     .Add(kFind, {key.caller, key.method, id, pg::Bytea{key.request}})));
  const pg::Result& found = results.back();
  if (found.empty()) return std::nullopt;
  if (!found.Get<bool>(0, "same")) {
    constexpr absl::string_view kWhy =
        "was used for another request within the last 24 hours; make a new one for each request";
    return status::WithFieldViolation(
        status::WithReason(absl::InvalidArgumentError(absl::StrCat("request_id ", id, " ", kWhy)),
                           "REQUEST_ID_REUSED", {{"request_id", id}}),
        "request_id", kWhy);
  }
  return found.Get<pg::Bytea>(0, "response").bytes;
}

absl::Status StoreResponse(pg::Transaction& tx, const RequestKey& key, absl::string_view response) {
  return tx
      .Execute(kStore, {key.caller, key.method, key.request_id.ToString(), pg::Bytea{key.request},
                        pg::Bytea{std::string(response)}})
      .status();
}

}  // namespace coder::storage
