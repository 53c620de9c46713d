#include "services/provisionerd/acquire_stream.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/server/grpc_status.h"
#include "libs/status/status_macros.h"
#include "services/provisionerd/proto_convert.h"

namespace coder::provisionerd {

namespace pb = provisioner::v1;

AcquireStream::AcquireStream(const std::shared_ptr<grpc::Channel>& channel,
                             const server::Secret& key, const DaemonIdentity& identity)
    : stub_(pb::ProvisionerService::NewStub(channel)) {
  context_.AddMetadata("authorization", absl::StrCat("Bearer ", key.Reveal()));
  stream_ = stub_->AcquireJobs(&context_);
  pb::AcquireJobsRequest request;
  pb::AcquireJobsRequest::Hello* hello = request.mutable_hello();
  hello->set_name(identity.name);
  hello->set_version(identity.version);
  hello->mutable_provisioners()->Add(identity.provisioners.begin(), identity.provisioners.end());
  hello->set_slots(identity.slots);
  Write(request);
}

bool AcquireStream::Write(const pb::AcquireJobsRequest& request) {
  const std::lock_guard lock(write_mutex_);
  if (!writes_open_) return false;
  writes_open_ = stream_->Write(request);
  return writes_open_;
}

bool AcquireStream::RequestJob() {
  pb::AcquireJobsRequest request;
  request.mutable_acquire();
  return Write(request);
}

bool AcquireStream::Withdraw() {
  pb::AcquireJobsRequest request;
  request.mutable_withdraw();
  return Write(request);
}

void AcquireStream::Close() {
  const std::lock_guard lock(write_mutex_);
  if (!writes_open_) return;
  writes_open_ = false;
  stream_->WritesDone();
}

void AcquireStream::Cancel() { context_.TryCancel(); }

absl::Status AcquireStream::Dispatch(const pb::AcquireJobsResponse& response,
                                     const AcquireListener& listener) {
  switch (response.message_case()) {
    case pb::AcquireJobsResponse::kWelcome:
      listener.on_welcome();
      break;
    case pb::AcquireJobsResponse::kJob: {
      ASSIGN_OR_RETURN(Job job, JobFromProto(response.job()));
      listener.on_job(std::move(job));
      break;
    }
    case pb::AcquireJobsResponse::kWithdrawn:
      listener.on_withdrawn();
      break;
    case pb::AcquireJobsResponse::kDrain:
    case pb::AcquireJobsResponse::MESSAGE_NOT_SET:
      break;
  }
  return absl::OkStatus();
}

absl::Status AcquireStream::Read(const AcquireListener& listener) {
  pb::AcquireJobsResponse response;
  absl::Status dispatched;
  while (dispatched.ok() && stream_->Read(&response)) {
    // A draining server still answers what is outstanding, then ends the stream.
    if (response.has_drain()) Withdraw();
    if (response.has_drain()) Close();
    dispatched = Dispatch(response, listener);
  }
  if (!dispatched.ok()) context_.TryCancel();
  Close();
  const grpc::Status status = stream_->Finish();
  return dispatched.ok() ? server::StatusFromGrpc(status) : dispatched;
}

}  // namespace coder::provisionerd
