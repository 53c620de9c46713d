#include "libs/storage/postgres/pg_template_store.h"

#include "absl/strings/str_cat.h"
#include "libs/auth/policy.h"
#include "libs/pg/transaction.h"
#include "libs/status/status_macros.h"
#include "libs/storage/postgres/template_rows.h"

namespace coder::storage {
namespace {

using lifecycle::OrganizationId;
using lifecycle::TemplateId;

#define CODER_IS_ORGANIZATION(text)                                            \
  "(o.id::text = lower(" text ") OR lower(o.name) = lower(" text ") OR (" text \
  " = 'default' AND o.is_default))"

constexpr char kByName[] = CODER_TEMPLATE_SQL
    "AND lower(t.name) = lower($2::text) AND o.deleted_at IS NULL"
    " AND " CODER_IS_ORGANIZATION("$1::text");

constexpr char kPage[] = CODER_TEMPLATE_SQL
    "AND o.deleted_at IS NULL"
    " AND ($1::boolean OR t.organization_id = ANY($2::uuid[]))"
    " AND ($3::text = '' OR " CODER_IS_ORGANIZATION("$3::text") ")"
    " AND ($4::text IS NULL OR (lower(o.name), lower(t.name)) > ($4, $5::text))"
    " ORDER BY lower(o.name), lower(t.name) LIMIT $6";

#undef CODER_IS_ORGANIZATION

}  // namespace

absl::StatusOr<TemplateRecord> PgTemplateStore::Get(TemplateId id, clock::Deadline deadline) {
  return pg::RunInTransaction(pool_, {.deadline = deadline, .read_only = true},
                              [&](pg::Transaction& tx) { return ReadTemplate(tx, id); });
}

absl::StatusOr<TemplateRecord> PgTemplateStore::FindByName(const std::string& organization,
                                                           const std::string& name,
                                                           clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result found, pool_.Execute(kByName, {organization, name}, deadline));
  if (found.empty()) {
    return auth::NotFound(
        absl::StrCat("template \"", name, "\" of organization \"", organization, "\""));
  }
  return TemplateOf(found[0]);
}

absl::StatusOr<std::vector<TemplateRecord>> PgTemplateStore::List(
    const auth::Scope& scope, const std::string& organization,
    const std::optional<TemplatePageKey>& after, int limit, clock::Deadline deadline) {
  std::vector<std::string> organizations;
  for (const OrganizationId& id : scope.organizations) organizations.push_back(id.ToString());
  std::optional<std::string> after_organization, after_name;
  if (after) {
    after_organization = after->organization_name;
    after_name = after->name;
  }
  ASSIGN_OR_RETURN(const pg::Result rows,
                   pool_.Execute(kPage,
                                 {scope.everything, organizations, organization, after_organization,
                                  after_name, limit},
                                 deadline));
  std::vector<TemplateRecord> templates;
  for (const auto row : rows) templates.push_back(TemplateOf(row));
  return templates;
}

}  // namespace coder::storage
