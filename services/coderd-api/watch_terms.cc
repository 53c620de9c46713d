#include "services/coderd-api/watch_terms.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "libs/events/proto_time.h"
#include "libs/ids/uuid.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"

namespace coder::api {
namespace {

using events::v1::BuildReason_IsValid;
using events::v1::BuildTransition_IsValid;
using events::v1::JobStatus_IsValid;

constexpr int kMaxFilterValues = 1000;

absl::Status Invalid(absl::string_view field, absl::string_view sentence) {
  return status::WithFieldViolation(
      absl::InvalidArgumentError(absl::StrCat("watch builds: ", field, " ", sentence)), field,
      sentence);
}

template <typename Values>
absl::Status ReadIds(absl::string_view field, const Values& values,
                     absl::flat_hash_set<std::string>& ids) {
  for (const std::string& value : values) {
    const auto id = ids::Uuid::Parse(value);
    if (!id.ok()) {
      return Invalid(field, absl::StrCat("holds '", value.substr(0, 64), "', which is no id"));
    }
    ids.insert(id->ToString());
  }
  return absl::OkStatus();
}

template <typename Values>
absl::Status ReadNumbers(absl::string_view field, const Values& values, bool (*known)(int),
                         absl::flat_hash_set<int>& numbers) {
  for (const int value : values) {
    if (value == 0 || !known(value)) {
      return Invalid(field, absl::StrCat("holds ", value, ", which this version does not know"));
    }
    numbers.insert(value);
  }
  return absl::OkStatus();
}

absl::StatusOr<events::WatchFilter> ReadFilter(const v1::BuildEventFilter& filter) {
  const int values = filter.organization_ids_size() + filter.owner_ids_size() +
                     filter.template_ids_size() + filter.workspace_ids_size() +
                     filter.transitions_size() + filter.job_statuses_size() + filter.reasons_size();
  if (values > kMaxFilterValues) {
    return Invalid("filter", absl::StrCat("holds ", values, " values; at most ", kMaxFilterValues,
                                          " are allowed, watch more broadly"));
  }
  events::WatchFilter read;
  RETURN_IF_ERROR(
      ReadIds("filter.organization_ids", filter.organization_ids(), read.organization_ids));
  RETURN_IF_ERROR(ReadIds("filter.owner_ids", filter.owner_ids(), read.owner_ids));
  RETURN_IF_ERROR(ReadIds("filter.template_ids", filter.template_ids(), read.template_ids));
  RETURN_IF_ERROR(ReadIds("filter.workspace_ids", filter.workspace_ids(), read.workspace_ids));
  RETURN_IF_ERROR(ReadNumbers("filter.transitions", filter.transitions(), BuildTransition_IsValid,
                              read.transitions));
  RETURN_IF_ERROR(ReadNumbers("filter.job_statuses", filter.job_statuses(), JobStatus_IsValid,
                              read.job_statuses));
  RETURN_IF_ERROR(
      ReadNumbers("filter.reasons", filter.reasons(), BuildReason_IsValid, read.reasons));
  return read;
}

struct EndingWords {
  absl::StatusCode code;
  const char* reason;
};

EndingWords WordsOf(fanout::EndingKind kind) {
  using fanout::EndingKind;
  switch (kind) {
    case EndingKind::kTooOld:
      return {absl::StatusCode::kOutOfRange, "TOKEN_TOO_OLD"};
    case EndingKind::kTokenForeign:
    case EndingKind::kTokenFuture:
      return {absl::StatusCode::kInvalidArgument, "TOKEN_INVALID"};
    case EndingKind::kEpochChanged:
    case EndingKind::kConflict:
      return {absl::StatusCode::kFailedPrecondition, "EPOCH_CHANGED"};
    case EndingKind::kFellBehind:
      return {absl::StatusCode::kResourceExhausted, "FELL_BEHIND"};
    case EndingKind::kDraining:
      return {absl::StatusCode::kUnavailable, "DRAINING"};
    case EndingKind::kAged:
      return {absl::StatusCode::kUnavailable, "MAX_AGE"};
    case EndingKind::kUnauthenticated:
      return {absl::StatusCode::kUnauthenticated, "TOKEN_REVOKED"};
    case EndingKind::kForbidden:
      return {absl::StatusCode::kPermissionDenied, "ACTION_FORBIDDEN"};
    case EndingKind::kTooManyWatches:
      return {absl::StatusCode::kResourceExhausted, "TOO_MANY_WATCHES"};
    case EndingKind::kUnavailable:
      return {absl::StatusCode::kUnavailable, "LOG_UNREACHABLE"};
  }
  return {absl::StatusCode::kInternal, ""};
}

}  // namespace

absl::StatusOr<WatchTerms> ReadWatchTerms(const v1::WatchAllWorkspaceBuildsRequest& request) {
  WatchTerms terms;
  ASSIGN_OR_RETURN(terms.filter, ReadFilter(request.filter()));
  const bool resumes = !request.resume_token().empty();
  if (resumes + request.snapshot() + request.has_start_time() > 1) {
    return Invalid("resume_token",
                   "excludes snapshot and start_time, as they exclude each other; set one");
  }
  if (resumes) {
    auto token = events::DecodeResumeToken(request.resume_token());
    if (!token.ok()) return status::WithReason(token.status(), "TOKEN_INVALID");
    terms.resume = *token;
  }
  terms.snapshot = request.snapshot();
  if (request.has_start_time()) terms.start_time = events::FromProto(request.start_time());
  if (request.has_bookmark_interval()) {
    terms.bookmark_interval = events::FromProto(request.bookmark_interval());
    if (terms.bookmark_interval < absl::Seconds(1) || terms.bookmark_interval > absl::Minutes(10)) {
      return Invalid(
          "bookmark_interval",
          absl::StrCat("is ", absl::FormatDuration(terms.bookmark_interval), "; use 1s to 10m"));
    }
  }
  return terms;
}

std::shared_ptr<const events::WatchRights> WatchRightsOf(const auth::Caller& caller) {
  auto rights = std::make_shared<events::WatchRights>();
  if (caller.kind != auth::CallerKind::kUser) return rights;
  rights->everything = caller.site_roles.Has(auth::SiteRole::kOwner) ||
                       caller.site_roles.Has(auth::SiteRole::kTemplateAdmin);
  rights->owner_id = caller.user_id.ToString();
  for (const auth::Membership& membership : caller.memberships) {
    const std::string organization = membership.organization_id.ToString();
    rights->owner_organization_ids.insert(organization);
    if (membership.roles.Has(auth::OrganizationRole::kAdmin) ||
        membership.roles.Has(auth::OrganizationRole::kTemplateAdmin)) {
      rights->organization_ids.insert(organization);
    }
  }
  return rights;
}

absl::Status StatusOf(const fanout::Ending& ending) {
  const EndingWords words = WordsOf(ending.kind);
  std::map<std::string, std::string> metadata;
  if (ending.head > 0) {
    metadata = {{"floor", absl::StrCat(ending.floor)}, {"head", absl::StrCat(ending.head)}};
  }
  return status::WithReason(
      absl::Status(words.code, absl::StrCat("watch builds: ", ending.message)), words.reason,
      metadata);
}

}  // namespace coder::api
