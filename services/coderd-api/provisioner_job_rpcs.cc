#include "services/coderd-api/provisioner_job_rpcs.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/events/build_enums.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"
#include "libs/storage/page_token.h"
#include "services/coderd-api/proto_convert_job.h"
#include "services/coderd-api/proto_convert_job_view.h"
#include "services/coderd-api/references.h"

namespace coder::api {
namespace {

#define CODER_METHOD(name) "/coder.api.v1.ProvisionerAdminService/" name

using lifecycle::OrganizationId;

// The organization, if the caller may see its provisioners.
absl::StatusOr<OrganizationId> ReadableOrganization(storage::OrganizationStore& organizations,
                                                    const CallContext& call,
                                                    const std::string& text) {
  ASSIGN_OR_RETURN(const storage::OrganizationRecord organization,
                   AuthorizedOrganization(organizations, call, auth::Action::kReadProvisioners,
                                          "organization_id", text));
  return organization.id;
}

absl::StatusOr<storage::JobFilter> FilterOf(const v1::ListProvisionerJobsRequest& request,
                                            OrganizationId organization) {
  storage::JobFilter filter{organization, {}};
  for (const int status : request.statuses()) {
    const auto known = events::FromProto(static_cast<events::v1::JobStatus>(status));
    if (!known) {
      return status::WithFieldViolation(
          absl::InvalidArgumentError("list provisioner jobs: statuses holds an unknown one"),
          "statuses", "must be statuses a job can have");
    }
    filter.statuses.push_back(*known);
  }
  return filter;
}

// What a page token is bound to.
std::string TokenFilter(const storage::JobFilter& filter) {
  std::string text = absl::StrCat("provisioner jobs of ", filter.organization.ToString());
  for (const auto status : filter.statuses) absl::StrAppend(&text, " ", ToString(status));
  return text;
}

std::string KeyOf(const storage::JobView& job) {
  return absl::StrCat(absl::ToUnixMicros(job.created_at), " ", job.id.ToString());
}

absl::StatusOr<std::optional<storage::JobPageKey>> PageKey(const std::string& filter,
                                                           const std::string& token) {
  ASSIGN_OR_RETURN(const std::string key, storage::DecodePageToken(filter, token));
  if (key.empty()) return std::nullopt;
  const std::pair<std::string, std::string> parts = absl::StrSplit(key, absl::MaxSplits(' ', 1));
  int64_t micros = 0;
  const auto id = lifecycle::JobId::Parse(parts.second);
  if (!absl::SimpleAtoi(parts.first, &micros) || !id.ok()) {
    return absl::InvalidArgumentError("list provisioner jobs: page_token is none of this list's");
  }
  return storage::JobPageKey{absl::FromUnixMicros(micros), *id};
}

}  // namespace

grpc::Status ProvisionerJobRpcs::ListProvisionerDaemons(
    grpc::ServerContext* context, const v1::ListProvisionerDaemonsRequest* request,
    v1::ListProvisionerDaemonsResponse* response) {
  return HandleCall(
      gate_, context, CODER_METHOD("ListProvisionerDaemons"), *request,
      [&](const CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(const auto organization,
                         ReadableOrganization(organizations_, call, request->organization_id()));
        ASSIGN_OR_RETURN(const auto daemons, jobs_.ListDaemons(organization, call.deadline));
        for (const auto& daemon : daemons) FillProto(daemon, *response->add_daemons());
        return absl::OkStatus();
      });
}

absl::Status ProvisionerJobRpcs::ListJobs(const CallContext& call,
                                          const v1::ListProvisionerJobsRequest& request,
                                          v1::ListProvisionerJobsResponse& response) {
  ASSIGN_OR_RETURN(const auto organization,
                   ReadableOrganization(organizations_, call, request.organization_id()));
  ASSIGN_OR_RETURN(const storage::JobFilter filter, FilterOf(request, organization));
  const std::string token_filter = TokenFilter(filter);
  ASSIGN_OR_RETURN(const auto after, PageKey(token_filter, request.page_token()));
  const size_t size = static_cast<size_t>(storage::ClampPageSize(request.page_size()));
  // One more than asked for tells whether there is a next page.
  ASSIGN_OR_RETURN(std::vector<storage::JobView> jobs,
                   jobs_.ListJobs(filter, after, static_cast<int>(size) + 1, call.deadline));
  if (jobs.size() > size) {
    jobs.resize(size);
    response.set_next_page_token(storage::EncodePageToken(token_filter, KeyOf(jobs.back())));
  }
  for (const auto& job : jobs) *response.add_jobs() = JobViewToProto(job);
  return absl::OkStatus();
}

grpc::Status ProvisionerJobRpcs::ListProvisionerJobs(grpc::ServerContext* context,
                                                     const v1::ListProvisionerJobsRequest* request,
                                                     v1::ListProvisionerJobsResponse* response) {
  return HandleCall(gate_, context, CODER_METHOD("ListProvisionerJobs"), *request,
                    [&](const CallContext& call) { return ListJobs(call, *request, *response); });
}

grpc::Status ProvisionerJobRpcs::GetProvisionerJob(grpc::ServerContext* context,
                                                   const v1::GetProvisionerJobRequest* request,
                                                   v1::GetProvisionerJobResponse* response) {
  return HandleCall(
      gate_, context, CODER_METHOD("GetProvisionerJob"), *request,
      [&](const CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(const auto id, lifecycle::JobId::Parse(request->id()));
        const std::string words = absl::StrCat("job ", request->id());
        const auto job = jobs_.GetJob(id, call.deadline);
        if (absl::IsNotFound(job.status())) return auth::NotFound(words);
        RETURN_IF_ERROR(job.status());
        RETURN_IF_ERROR(call.Authorize(auth::Action::kReadProvisioners,
                                       {.organization_id = job->organization}, words));
        *response->mutable_job() = JobViewToProto(*job);
        return absl::OkStatus();
      });
}

}  // namespace coder::api
