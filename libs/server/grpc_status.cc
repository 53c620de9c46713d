#include "libs/server/grpc_status.h"

#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "libs/status/error_reason.h"

namespace coder::server {
namespace {

constexpr char kDomain[] = "coder";
constexpr char kInternalUrl[] = "type.coder/internal_detail";

bool IsHidden(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kDataLoss:
      return true;
    default:
      return status::HasInternalDetail(status);
  }
}

const char* NeutralSentence(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kUnavailable:
      return "a service this call needs is not available; try again";
    case absl::StatusCode::kDeadlineExceeded:
      return "the call did not finish within its deadline";
    case absl::StatusCode::kAborted:
      return "the call met another one on the same rows; try again";
    case absl::StatusCode::kCancelled:
      return "the call was cancelled";
    case absl::StatusCode::kResourceExhausted:
      return "the server is busy; try again later";
    default:
      return "internal error";
  }
}

void AddDetails(const absl::Status& from, google::rpc::Status& to) {
  if (const auto reason = status::ReasonOf(from)) {
    google::rpc::ErrorInfo info;
    info.set_reason(reason->reason);
    info.set_domain(kDomain);
    for (const auto& [key, value] : reason->metadata) (*info.mutable_metadata())[key] = value;
    to.add_details()->PackFrom(info);
  }
  google::rpc::BadRequest bad;
  for (const auto& violation : status::FieldViolationsOf(from)) {
    auto* field = bad.add_field_violations();
    field->set_field(violation.field);
    field->set_description(violation.description);
  }
  if (bad.field_violations_size() > 0) to.add_details()->PackFrom(bad);
  if (const auto delay = status::RetryAfterOf(from)) {
    google::rpc::RetryInfo retry;
    absl::Duration rest;
    retry.mutable_retry_delay()->set_seconds(absl::IDivDuration(*delay, absl::Seconds(1), &rest));
    retry.mutable_retry_delay()->set_nanos(static_cast<int>(absl::ToInt64Nanoseconds(rest)));
    to.add_details()->PackFrom(retry);
  }
}

grpc::Status Encode(const google::rpc::Status& message) {
  return grpc::Status(static_cast<grpc::StatusCode>(message.code()), message.message(),
                      message.details_size() > 0 ? message.SerializeAsString() : std::string());
}

absl::Status RestoreDetail(absl::Status status, const google::protobuf::Any& any) {
  if (google::rpc::ErrorInfo info; any.UnpackTo(&info)) {
    return status::WithReason(std::move(status), info.reason(),
                              {info.metadata().begin(), info.metadata().end()});
  }
  if (google::rpc::BadRequest bad; any.UnpackTo(&bad)) {
    for (const auto& field : bad.field_violations()) {
      status = status::WithFieldViolation(std::move(status), field.field(), field.description());
    }
  }
  if (google::rpc::RetryInfo retry; any.UnpackTo(&retry)) {
    return status::WithRetryAfter(std::move(status),
                                  absl::Seconds(retry.retry_delay().seconds()) +
                                      absl::Nanoseconds(retry.retry_delay().nanos()));
  }
  return status;
}

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  google::rpc::Status message;
  message.set_code(static_cast<int>(status.code()));
  message.set_message(std::string(status.message()));
  AddDetails(status, message);
  if (IsHidden(status)) {
    auto* detail = message.add_details();
    detail->set_type_url(kInternalUrl);
    detail->set_value(message.message());
    message.set_message(NeutralSentence(status.code()));
  }
  return Encode(message);
}

PublicStatus WithoutInternalDetail(const grpc::Status& status, const std::string& request_id) {
  PublicStatus result{status, ""};
  google::rpc::Status message;
  if (status.error_details().empty() || !message.ParseFromString(status.error_details())) {
    return result;
  }
  for (int i = message.details_size(); i-- > 0;) {
    if (message.details(i).type_url() != kInternalUrl) continue;
    result.internal_detail = message.details(i).value();
    message.mutable_details()->DeleteSubrange(i, 1);
    message.set_message(absl::StrCat(message.message(), " (request ", request_id, ")"));
    result.status = Encode(message);
  }
  return result;
}

absl::Status StatusFromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  int code = status.error_code();
  if (code < 0 || code > 16) code = static_cast<int>(absl::StatusCode::kUnknown);
  absl::Status result(static_cast<absl::StatusCode>(code), status.error_message());
  google::rpc::Status message;
  if (status.error_details().empty() || !message.ParseFromString(status.error_details())) {
    return result;
  }
  for (const auto& detail : message.details()) result = RestoreDetail(std::move(result), detail);
  return result;
}

}  // namespace coder::server
