#include "libs/storage/postgres/pg_audit_log_store.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/status/status_macros.h"
#include "libs/storage/postgres/job_rows.h"

namespace coder::storage {
namespace {

constexpr char kInsert[] = R"sql(
INSERT INTO audit_logs (id, organization_id, actor_user_id, actor, actor_name, token_id, address,
  user_agent, request_id, method, action, resource_type, resource_id, resource_name, outcome,
  status_code, reason, details)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18))sql";

constexpr char kList[] = R"sql(
SELECT * FROM audit_logs
WHERE ($1::uuid[] IS NULL OR organization_id = ANY ($1))
  AND ($2::uuid IS NULL OR actor_user_id = $2)
  AND ($3::text IS NULL OR lower(actor_name) = lower($3))
  AND ($4::text IS NULL OR resource_type = $4)
  AND ($5::text IS NULL OR resource_id = $5 OR lower(resource_name) = lower($5))
  AND ($6::text IS NULL OR method = $6)
  AND ($7::text IS NULL OR action = $7)
  AND ($8::text IS NULL OR outcome = $8)
  AND ($9::timestamptz IS NULL OR recorded_at >= $9)
  AND ($10::timestamptz IS NULL OR recorded_at < $10)
  AND ($11::timestamptz IS NULL OR (recorded_at, id) < ($11, $12::uuid))
ORDER BY recorded_at DESC, id DESC LIMIT $13::int)sql";

// Replicas that do this at once delete the same rows; the later one finds them gone.
constexpr char kDrop[] = R"sql(
WITH dropped AS (
  DELETE FROM audit_logs WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM audit_logs WHERE recorded_at < now() - $1::interval
    ORDER BY recorded_at LIMIT $2::int))
  RETURNING 1
)
SELECT count(*) AS dropped FROM dropped)sql";

template <typename Id>
std::optional<std::string> TextOf(const std::optional<Id>& id) {
  if (!id) return std::nullopt;
  return id->ToString();
}

std::optional<std::string> Given(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional(text);
}

template <typename Word>
std::optional<std::string> Given(const std::optional<Word>& word) {
  if (!word) return std::nullopt;
  return std::string(ToString(*word));
}

std::optional<absl::Time> Finite(absl::Time time) {
  const bool finite = time != absl::InfinitePast() && time != absl::InfiniteFuture();
  return finite ? std::optional(time) : std::nullopt;
}

std::vector<pg::Param> ParamsOf(const AuditFilter& filter) {
  std::optional<std::vector<std::string>> organizations;
  if (filter.organizations) {
    organizations.emplace();
    for (const auto& id : *filter.organizations) organizations->push_back(id.ToString());
  }
  const auto user = lifecycle::UserId::Parse(filter.actor);
  return {organizations,
          user.ok() ? std::optional(user->ToString()) : std::nullopt,
          user.ok() ? std::nullopt : Given(filter.actor),
          Given(filter.resource_type),
          Given(filter.resource),
          Given(filter.method),
          Given(filter.action),
          Given(filter.outcome),
          Finite(filter.since),
          Finite(filter.until)};
}

template <typename Word, size_t N>
Word WordOf(const std::array<absl::string_view, N>& words, const std::string& text) {
  return static_cast<Word>(std::find(words.begin(), words.end(), text) - words.begin());
}

AuditRecord RecordOf(const pg::Result::Row& row) {
  const auto text = [&row](std::string_view column) { return row.Get<std::string>(column); };
  AuditRecord record;
  record.id = ids::Uuid::Parse(text("id")).value();
  record.time = row.Get<absl::Time>("recorded_at");
  if (const auto id = row.Get<std::optional<std::string>>("organization_id")) {
    record.organization = IdFromColumn<lifecycle::OrganizationId>(*id);
  }
  if (const auto id = row.Get<std::optional<std::string>>("actor_user_id")) {
    record.actor_user = IdFromColumn<lifecycle::UserId>(*id);
  }
  record.actor = text("actor");
  record.actor_name = text("actor_name");
  record.token_id = text("token_id");
  record.address = text("address");
  record.user_agent = text("user_agent");
  record.request_id = text("request_id");
  record.method = text("method");
  record.action = WordOf<AuditAction>(kAuditActionWords, text("action"));
  record.resource_type = text("resource_type");
  record.resource_id = text("resource_id");
  record.resource_name = text("resource_name");
  record.outcome = WordOf<AuditOutcome>(kAuditOutcomeWords, text("outcome"));
  record.status_code = text("status_code");
  record.reason = text("reason");
  record.details = TagsFromJson(text("details"));
  return record;
}

}  // namespace

absl::Status PgAuditLogStore::Append(const AuditRecord& record, clock::Deadline deadline) {
  return pool_
      .Execute(kInsert,
               {record.id.ToString(), TextOf(record.organization), TextOf(record.actor_user),
                record.actor, record.actor_name, record.token_id, record.address, record.user_agent,
                record.request_id, record.method, ToString(record.action), record.resource_type,
                record.resource_id, record.resource_name, ToString(record.outcome),
                record.status_code, record.reason, TagsToJson(record.details)},
               deadline)
      .status();
}

absl::StatusOr<std::vector<AuditRecord>> PgAuditLogStore::List(
    const AuditFilter& filter, const std::optional<AuditPageKey>& before, int limit,
    clock::Deadline deadline) {
  std::vector<pg::Param> params = ParamsOf(filter);
  params.emplace_back(before ? std::optional(before->time) : std::nullopt);
  params.emplace_back(before ? std::optional(before->id.ToString()) : std::nullopt);
  params.emplace_back(limit);
  ASSIGN_OR_RETURN(const pg::Result found, pool_.Execute(kList, std::move(params), deadline));
  std::vector<AuditRecord> records;
  for (const auto row : found) records.push_back(RecordOf(row));
  return records;
}

absl::StatusOr<int64_t> PgAuditLogStore::DropOlderThan(absl::Duration retention, int limit,
                                                       clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result rows, pool_.Execute(kDrop, {retention, limit}, deadline));
  return rows[0].Get<int64_t>("dropped");
}

}  // namespace coder::storage
