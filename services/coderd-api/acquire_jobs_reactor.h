#pragma once

#include <grpcpp/grpcpp.h>

#include <string>

#include "absl/time/time.h"
#include "coder/provisioner/v1/provisioner.grpc.pb.h"
#include "libs/crypto/keyring.h"
#include "libs/storage/job_store.h"
#include "services/coderd-api/acquire_streams.h"
#include "services/coderd-api/call.h"
#include "services/coderd-api/job_dispatcher.h"
#include "services/coderd-api/work_queue.h"

namespace coder::api {

/// What the streams of waiting daemons share. All must outlive the streams.
struct AcquireJobsParts {
  const CallGate& gate;
  storage::JobStore& store;
  JobDispatcher& dispatcher;
  WorkQueue& work;
  AcquireStreamSet& streams;
  const crypto::Keyring& keyring;
  /// The URL agents should dial.
  std::string access_url;
  absl::Duration lease;
};

using AcquireJobsReactorBase = grpc::ServerBidiReactor<provisioner::v1::AcquireJobsRequest,
                                                       provisioner::v1::AcquireJobsResponse>;

/// Begins to serve one AcquireJobs stream. The reactor frees itself; no thread of gRPC ever waits
/// for the database or is called under a lock.
AcquireJobsReactorBase* StartAcquireJobs(AcquireJobsParts& parts,
                                         grpc::CallbackServerContext* context);

}  // namespace coder::api
