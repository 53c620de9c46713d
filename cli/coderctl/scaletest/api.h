#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/coderctl/session.h"
#include "libs/clock/clock.h"

namespace coder::cli::scaletest {

/// A new UUID for `request_id`: a call that is made again with it has one effect.
std::string NewRequestId();

/// `length` random lower-case letters and digits.
std::string RandomText(int length);

/// Unary calls of a load test. Any thread.
class Api {
 public:
  /// Both must outlive it.
  Api(const Session& session, clock::Clock& clock) : session_(session), clock_(clock) {}

  /// Calls until there is an answer: what was not reachable or too slow is called again for up to
  /// two minutes, so the request must be one that may be made twice. CANCELLED after a stop; the
  /// server's errors.
  template <typename Service, typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (Service::Stub::*method)(grpc::ClientContext*,
                                                                      const Request&, Response*),
                                const Request& request, const std::stop_token& stop) {
    absl::StatusOr<Response> response;
    const absl::Status ended = Patiently(
        [&] {
          response = cli::Call<Service>(session_, method, request);
          return response.status();
        },
        stop);
    if (!ended.ok()) return ended;
    return response;
  }

 private:
  absl::Status Patiently(const std::function<absl::Status()>& call, const std::stop_token& stop);

  const Session& session_;
  clock::Clock& clock_;
};

}  // namespace coder::cli::scaletest
