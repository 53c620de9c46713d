#include "libs/storage/postgres/pg_blackout_store.h"

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "libs/pg/transaction.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"
#include "libs/storage/postgres/job_rows.h"

namespace coder::storage {
namespace {

using lifecycle::BlackoutId;
using lifecycle::OrganizationId;
using lifecycle::TemplateId;
using lifecycle::UserId;

#define CODER_BLACKOUT_COLUMNS                                                                   \
  "id, organization_id, template_id, first_day::text AS first_day, last_day::text AS last_day, " \
  "reason, created_by, created_at "

// The lock lets concurrent creations see each other's number.
constexpr char kLockOrganization[] =
    "SELECT 1 FROM organizations WHERE id = $1 AND deleted_at IS NULL FOR UPDATE";
constexpr char kTemplate[] =
    "SELECT 1 FROM templates WHERE id = $1 AND organization_id = $2 AND deleted_at IS NULL";

constexpr char kCount[] = R"sql(
SELECT count(*) FROM autostart_blackouts
WHERE organization_id = $1 AND template_id IS NOT DISTINCT FROM $2::uuid
  AND last_day >= current_date - 1)sql";

constexpr char kInsert[] =
    "INSERT INTO autostart_blackouts (id, organization_id, template_id, first_day, last_day, "
    "  reason, created_by) "
    "VALUES ($1, $2, $3, $4::text::date, $5::text::date, $6, $7) RETURNING " CODER_BLACKOUT_COLUMNS;

constexpr char kGet[] = "SELECT " CODER_BLACKOUT_COLUMNS "FROM autostart_blackouts WHERE id = $1";

// Yesterday is today somewhere.
constexpr char kList[] = "SELECT " CODER_BLACKOUT_COLUMNS
                         "FROM autostart_blackouts "
                         "WHERE organization_id = $1 AND last_day >= current_date - 1 "
                         "ORDER BY autostart_blackouts.first_day, id LIMIT 10000";

constexpr char kDelete[] = "DELETE FROM autostart_blackouts WHERE id = $1";

BlackoutRecord BlackoutOf(const pg::Result::Row& row) {
  const auto text = [&row](std::string_view column) { return row.Get<std::string>(column); };
  BlackoutRecord blackout;
  blackout.id = IdFromColumn<BlackoutId>(text("id"));
  blackout.organization = IdFromColumn<OrganizationId>(text("organization_id"));
  if (const auto id = row.Get<std::optional<std::string>>("template_id")) {
    blackout.template_id = IdFromColumn<TemplateId>(*id);
  }
  blackout.dates.first = lifecycle::ParseDate("first_day", text("first_day")).value();
  blackout.dates.last = lifecycle::ParseDate("last_day", text("last_day")).value();
  blackout.dates.reason = text("reason");
  blackout.creator = IdFromColumn<UserId>(text("created_by"));
  blackout.created_at = row.Get<absl::Time>("created_at");
  return blackout;
}

absl::Status Absent(absl::string_view what, absl::string_view id) {
  return absl::NotFoundError(absl::StrCat("find ", what, " ", id, ": there is none"));
}

absl::StatusOr<BlackoutRecord> CreateIn(pg::Transaction& tx, const BlackoutRecord& blackout) {
  const std::string organization = blackout.organization.ToString();
  std::optional<std::string> template_id;
  if (blackout.template_id) template_id = blackout.template_id->ToString();
  ASSIGN_OR_RETURN(const pg::Result locked, tx.Execute(kLockOrganization, {organization}));
  if (locked.empty()) return Absent("organization", organization);
  if (template_id) {
    ASSIGN_OR_RETURN(const pg::Result found, tx.Execute(kTemplate, {*template_id, organization}));
    if (found.empty()) return Absent("template", *template_id);
  }
  ASSIGN_OR_RETURN(const pg::Result counted, tx.Execute(kCount, {organization, template_id}));
  if (counted.Get<int64_t>(0, 0) >= kMaxBlackouts) {
    return status::WithReason(
        absl::FailedPreconditionError(absl::StrCat("create blackout: ", kMaxBlackouts,
                                                   " are not over yet; delete some first")),
        "TOO_MANY_BLACKOUTS");
  }
  ASSIGN_OR_RETURN(const pg::Result inserted,
                   tx.Execute(kInsert, {blackout.id.ToString(), organization, template_id,
                                        lifecycle::FormatDate(blackout.dates.first),
                                        lifecycle::FormatDate(blackout.dates.last),
                                        blackout.dates.reason, blackout.creator.ToString()}));
  return BlackoutOf(inserted[0]);
}

}  // namespace

absl::StatusOr<BlackoutRecord> PgBlackoutStore::Create(const BlackoutRecord& blackout,
                                                       clock::Deadline deadline) {
  return pg::RunInTransaction(pool_, {.deadline = deadline},
                              [&](pg::Transaction& tx) { return CreateIn(tx, blackout); });
}

absl::StatusOr<BlackoutRecord> PgBlackoutStore::Get(const BlackoutId& id,
                                                    clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result rows, pool_.Execute(kGet, {id.ToString()}, deadline));
  if (rows.empty()) return Absent("blackout", id.ToString());
  return BlackoutOf(rows[0]);
}

absl::StatusOr<std::vector<BlackoutRecord>> PgBlackoutStore::List(
    const OrganizationId& organization, clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result rows,
                   pool_.Execute(kList, {organization.ToString()}, deadline));
  std::vector<BlackoutRecord> blackouts;
  for (const pg::Result::Row row : rows) blackouts.push_back(BlackoutOf(row));
  return blackouts;
}

absl::Status PgBlackoutStore::Delete(const BlackoutId& id, clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result deleted, pool_.Execute(kDelete, {id.ToString()}, deadline));
  return deleted.affected() == 0 ? Absent("blackout", id.ToString()) : absl::OkStatus();
}

}  // namespace coder::storage
