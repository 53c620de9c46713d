#include <algorithm>
#include <memory>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cli/coderctl/audit_terms.h"
#include "cli/coderctl/command_line.h"
#include "coder/api/v1/audit.grpc.pb.h"
#include "libs/clock/system_clock.h"
#include "libs/status/status_macros.h"

namespace coder::cli {
namespace {

using api::v1::AuditLog;
using api::v1::AuditService;

constexpr int kMaxPage = 500;

// "AUDIT_ACTION_LOGIN" as "login".
std::string Word(const std::string& name) {
  return absl::AsciiStrToLower(name.substr(name.rfind('_') + 1));
}

std::string ActorText(const AuditLog& log) {
  return log.actor_name().empty() ? log.actor() : log.actor_name();
}

std::string ResourceText(const AuditLog& log) {
  const std::string& which = log.resource_name().empty() ? log.resource_id() : log.resource_name();
  return which.empty() ? log.resource_type() : absl::StrCat(log.resource_type(), " ", which);
}

std::string OutcomeText(const AuditLog& log) {
  const std::string outcome = Word(api::v1::AuditOutcome_Name(log.outcome()));
  const std::string& why = log.reason().empty() ? log.status_code() : log.reason();
  return log.outcome() == api::v1::AUDIT_OUTCOME_ALLOWED ? outcome
                                                         : absl::StrCat(outcome, " ", why);
}

absl::Status List(const CommandLine& line, const AuditTerms& terms) {
  ASSIGN_OR_RETURN(api::v1::ListAuditLogsRequest request,
                   AuditRequest(terms, clock::SystemClock().Now()));
  ASSIGN_OR_RETURN(Session session, line.Connect());
  api::v1::ListAuditLogsResponse all;
  do {
    request.set_page_size(std::min(terms.limit - all.audit_logs_size(), kMaxPage));
    ASSIGN_OR_RETURN(api::v1::ListAuditLogsResponse page,
                     Call<AuditService>(session, &AuditService::Stub::ListAuditLogs, request));
    all.MergeFrom(page);
    all.set_next_page_token(page.next_page_token());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty() && all.audit_logs_size() < terms.limit);
  Table table({"TIME", "WHO", "ACTION", "RESOURCE", "OUTCOME", "FROM", "REQUEST"});
  for (const AuditLog& log : all.audit_logs()) {
    table.AddRow({FormatTime(log.time(), log.has_time()), ActorText(log),
                  Word(api::v1::AuditAction_Name(log.action())), ResourceText(log),
                  OutcomeText(log), log.address(), log.request_id()});
  }
  Print(line.output, table, all);
  return absl::OkStatus();
}

}  // namespace

void AddAuditCommands(CLI::App& root, CommandLine& line) {
  CLI::App* audit = root.add_subcommand("audit", "Who did what");
  audit->require_subcommand(1);
  audit->footer(
      "\nExamples:\n"
      "  coderctl audit list --denied --since 24h\n"
      "  coderctl audit list --user ada --action delete\n"
      "  coderctl audit list --resource-type workspace --resource dev -o json");
  auto terms = std::make_shared<AuditTerms>();
  CLI::App* list = AddCommand(*audit, line, "list",
                              "What was done or was to be done, the newest first; for site owners, "
                              "auditors and, of their organizations, organization admins",
                              [&line, terms] { return List(line, *terms); });
  list->add_option("--org,--organization", terms->organization,
                   "Of this organization (all you may see)");
  list->add_option("--user", terms->user, "By this user: id, username or me");
  list->add_option("--resource", terms->resource, "To what has this id or name");
  list->add_option("--resource-type", terms->resource_type,
                   "To things of this kind, such as workspace or token");
  list->add_option("--action", terms->action,
                   "create, write, delete, start, stop, login or logout");
  list->add_option("--since", terms->since,
                   "A time such as 2026-03-01T00:00:00Z, or how long ago: 24h");
  list->add_option("--until", terms->until, "As --since, excluded");
  list->add_flag("--denied", terms->denied, "Only what was denied");
  list->add_flag("--failed", terms->failed, "Only what failed")->excludes("--denied");
  list->add_option("--limit", terms->limit, "At most so many (50)")
      ->check(CLI::Range(1, 1'000'000));
}

}  // namespace coder::cli
