#include "services/coderd-api/audit_trail.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/auth/token.h"
#include "libs/server/log.h"

namespace coder::api {
namespace {

using storage::AuditOutcome;
using storage::AuditRecord;

constexpr absl::Duration kStoreTime = absl::Seconds(2);
constexpr size_t kMaxText = 256;
constexpr size_t kMaxWord = 64;
constexpr size_t kMaxDetails = 16;

prometheus::Family<prometheus::Counter>& Records(prometheus::Registry& registry) {
  return prometheus::BuildCounter()
      .Name("coderd_audit_records_total")
      .Help(
          "Records of the audit log by what became of them. Any lost: the database could not be "
          "asked, and they are in the log of this process only. Any left_out: an address without "
          "an account is refused so often that not every time is recorded.")
      .Register(registry);
}

void Fit(AuditRecord& record) {
  for (std::string* text : {&record.actor, &record.actor_name, &record.address, &record.user_agent,
                            &record.resource_id, &record.resource_name}) {
    *text = FitForAudit(*text, kMaxText);
  }
  record.token_id = FitForAudit(record.token_id, kMaxWord);
  record.reason = FitForAudit(record.reason, kMaxWord);
  record.request_id = FitForAudit(record.request_id, kMaxText / 2);
  std::map<std::string, std::string> details;
  for (const auto& [key, value] : record.details) {
    if (details.size() == kMaxDetails) break;
    details[FitForAudit(key, kMaxWord)] = FitForAudit(value, kMaxText);
  }
  record.details = std::move(details);
}

void LogLost(const AuditRecord& record, const absl::Status& error) {
  log::Error("cannot store a record of the audit log",
             {{"method", record.method},
              {"actor", record.actor},
              {"token_id", record.token_id},
              {"address", record.address},
              {"action", storage::ToString(record.action)},
              {"resource_type", record.resource_type},
              {"resource_id", record.resource_id},
              {"outcome", storage::ToString(record.outcome)},
              {"code", record.status_code},
              {"request_id", record.request_id},
              {"error", error}});
}

}  // namespace

std::string FitForAudit(absl::string_view text, size_t max_bytes) {
  const absl::string_view bare = absl::StripAsciiWhitespace(text);
  if (const auto token = auth::ParseToken(bare); token.ok()) {
    return token->id.empty() ? "(a token)" : token->id;
  }
  size_t size = std::min(text.size(), max_bytes);
  // Never between the bytes of one character.
  while (size < text.size() && size > 0 && (static_cast<uint8_t>(text[size]) & 0xc0) == 0x80)
    --size;
  std::string fit(text.substr(0, size));
  for (char& c : fit) {
    if (absl::ascii_iscntrl(static_cast<uint8_t>(c))) c = '?';
  }
  return fit;
}

AuditTrail::AuditTrail(storage::AuditLogStore& store, ids::UuidV7Generator& ids,
                       clock::Clock& clock, prometheus::Registry& registry)
    : store_(store),
      ids_(ids),
      anonymous_(kAnonymousBurst, absl::Minutes(1), clock),
      stored_(Records(registry).Add({{"result", "stored"}})),
      lost_(Records(registry).Add({{"result", "lost"}})),
      left_out_(Records(registry).Add({{"result", "left_out"}})) {}

void AuditTrail::Keep(AuditRecord record) {
  if (record.actor == "anonymous" && record.outcome != AuditOutcome::kAllowed &&
      !anonymous_
           .Admit(absl::StrCat(record.address, " ", record.method, " ", record.status_code), "keep")
           .ok()) {
    left_out_.Increment();
    return;
  }
  record.id = ids_.Next();
  Fit(record);
  const absl::Status kept = store_.Append(record, clock::Deadline::After(kStoreTime));
  if (kept.ok()) {
    stored_.Increment();
    return;
  }
  lost_.Increment();
  LogLost(record, kept);
}

}  // namespace coder::api
