#include "libs/storage/postgres/lifecycle_outcomes.h"

#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include "absl/time/time.h"
#include "libs/status/status_macros.h"

namespace coder::storage {
namespace {

using lifecycle::BuildId;

constexpr char kRecord[] = R"sql(
INSERT INTO lifecycle_outcomes AS o (workspace_id, kind, nominal_at, attempt, outcome, reason,
  detail, build_id, decided_at)
SELECT n.workspace_id, n.kind, n.nominal_at, n.attempt, n.outcome, n.reason, left(n.detail, 1024),
  n.build_id, clock_timestamp()
FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::integer[], $5::text[], $6::text[],
  $7::text[], $8::uuid[])
  AS n (workspace_id, kind, nominal_at, attempt, outcome, reason, detail, build_id)
ON CONFLICT (workspace_id, kind, nominal_at, attempt) DO UPDATE SET
  outcome = excluded.outcome, build_id = excluded.build_id, decided_at = excluded.decided_at,
  reason = CASE WHEN excluded.outcome = 'missed' THEN o.reason ELSE excluded.reason END,
  detail = CASE WHEN excluded.outcome = 'missed' THEN o.detail ELSE excluded.detail END
WHERE o.outcome = 'skipped' AND (o.kind <> 'autostart' OR o.reason = 'NO_PROVISIONER')
  AND (o.outcome, o.reason) IS DISTINCT FROM (excluded.outcome, excluded.reason)
RETURNING workspace_id, kind, nominal_at, attempt, outcome, coalesce(reason, '') AS reason,
  coalesce(detail, '') AS detail, build_id)sql";

constexpr char kFind[] = R"sql(
SELECT o.workspace_id, o.kind, o.nominal_at, o.attempt, o.outcome, coalesce(o.reason, '') AS reason,
  coalesce(o.detail, '') AS detail, o.build_id
FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::integer[])
  AS n (workspace_id, kind, nominal_at, attempt)
JOIN lifecycle_outcomes o USING (workspace_id, kind, nominal_at, attempt))sql";

struct KeyColumns {
  std::vector<std::string> workspaces, kinds;
  std::vector<absl::Time> nominals;
  std::vector<int32_t> attempts;

  void Add(const LifecycleProposal& key) {
    workspaces.push_back(key.workspace_id.ToString());
    kinds.emplace_back(lifecycle::ToString(key.kind));
    nominals.push_back(key.nominal_time);
    attempts.push_back(key.attempt);
  }
};

LifecycleOutcome OutcomeOf(const std::string& word) {
  if (word == "applied") return LifecycleOutcome::kApplied;
  return word == "missed" ? LifecycleOutcome::kMissed : LifecycleOutcome::kSkipped;
}

OutcomesByKey ByKeyOf(const pg::Result& rows) {
  OutcomesByKey outcomes;
  for (const pg::Result::Row row : rows) {
    // The words are held to these by CHECKs.
    const LifecycleProposal key{
        .workspace_id = lifecycle::WorkspaceId::Parse(row.Get<std::string>("workspace_id")).value(),
        .kind = lifecycle::ParseLifecycleKind(row.Get<std::string>("kind")).value(),
        .nominal_time = row.Get<absl::Time>("nominal_at"),
        .attempt = row.Get<int32_t>("attempt")};
    LifecycleResult& result = outcomes[key];
    result.outcome = OutcomeOf(row.Get<std::string>("outcome"));
    result.reason = row.Get<std::string>("reason");
    result.detail = row.Get<std::string>("detail");
    if (const auto build = row.Get<std::optional<std::string>>("build_id")) {
      result.build_id = BuildId::Parse(*build).value();
    }
  }
  return outcomes;
}

}  // namespace

bool ByKey::operator()(const LifecycleProposal& a, const LifecycleProposal& b) const {
  return std::tie(a.workspace_id, a.kind, a.nominal_time, a.attempt) <
         std::tie(b.workspace_id, b.kind, b.nominal_time, b.attempt);
}

absl::StatusOr<OutcomesByKey> RecordOutcomes(pg::Transaction& tx,
                                             const std::vector<OutcomeToStore>& outcomes) {
  if (outcomes.empty()) return OutcomesByKey();
  KeyColumns keys;
  std::vector<std::string> words, reasons, details;
  std::vector<std::optional<std::string>> builds;
  for (const OutcomeToStore& outcome : outcomes) {
    keys.Add(outcome.key);
    words.emplace_back(lifecycle::ToString(outcome.result.outcome));
    reasons.push_back(outcome.result.reason);
    details.push_back(outcome.result.detail);
    builds.push_back(outcome.result.build_id ? std::optional(outcome.result.build_id->ToString())
                                             : std::nullopt);
  }
  ASSIGN_OR_RETURN(const pg::Result written,
                   tx.Execute(kRecord, {keys.workspaces, keys.kinds, keys.nominals, keys.attempts,
                                        words, reasons, details, builds}));
  return ByKeyOf(written);
}

absl::StatusOr<OutcomesByKey> FindOutcomes(pg::Transaction& tx,
                                           const std::vector<LifecycleProposal>& keys) {
  if (keys.empty()) return OutcomesByKey();
  KeyColumns columns;
  for (const LifecycleProposal& key : keys) columns.Add(key);
  ASSIGN_OR_RETURN(
      const pg::Result found,
      tx.Execute(kFind, {columns.workspaces, columns.kinds, columns.nominals, columns.attempts},
                 pg::Plan::kFresh));
  return ByKeyOf(found);
}

}  // namespace coder::storage
