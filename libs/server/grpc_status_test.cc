#include "libs/server/grpc_status.h"

#include <catch2/catch.hpp>

#include "libs/status/error_reason.h"

namespace coder::server {
namespace {

TEST_CASE("an error goes to gRPC and back with its details") {
  absl::Status sent = absl::FailedPreconditionError("build 41 is still running");
  sent = status::WithReason(sent, "BUILD_ACTIVE", {{"build", "41"}});
  sent = status::WithFieldViolation(sent, "workspace.name", "too long");
  sent = status::WithRetryAfter(sent, absl::Milliseconds(2500));
  const grpc::Status wire = ToGrpcStatus(sent);
  CHECK(wire.error_code() == grpc::StatusCode::FAILED_PRECONDITION);
  const absl::Status got = StatusFromGrpc(wire);
  CHECK(got.code() == sent.code());
  CHECK(got.message() == sent.message());
  REQUIRE(status::ReasonOf(got).has_value());
  CHECK(status::ReasonOf(got)->reason == "BUILD_ACTIVE");
  CHECK(status::ReasonOf(got)->metadata.at("build") == "41");
  REQUIRE(status::FieldViolationsOf(got).size() == 1);
  CHECK(status::FieldViolationsOf(got)[0].field == "workspace.name");
  CHECK(status::RetryAfterOf(got) == absl::Milliseconds(2500));
  CHECK(WithoutInternalDetail(wire, "r1").internal_detail.empty());
}

TEST_CASE("driver text reaches the log and not the client") {
  struct Row {
    const char* name;
    absl::Status status;
    const char* sentence;
  };
  for (const Row& row : std::vector<Row>{
           {"internal", absl::InternalError("relation \"x\" does not exist"),
            "internal error (request r1)"},
           {"marked",
            status::WithInternalDetail(absl::UnavailableError("relation \"x\" does not exist")),
            "a service this call needs is not available; try again (request r1)"},
       }) {
    DYNAMIC_SECTION(row.name) {
      const PublicStatus shown = WithoutInternalDetail(ToGrpcStatus(row.status), "r1");
      CHECK(shown.internal_detail == row.status.message());
      CHECK(shown.status.error_message() == row.sentence);
      CHECK(shown.status.error_details().find("relation") == std::string::npos);
      CHECK(shown.status.error_code() == static_cast<int>(row.status.code()));
    }
  }
}

TEST_CASE("OK stays OK and a foreign code becomes UNKNOWN") {
  CHECK(ToGrpcStatus(absl::OkStatus()).ok());
  CHECK(StatusFromGrpc(grpc::Status::OK).ok());
  CHECK(StatusFromGrpc(grpc::Status(static_cast<grpc::StatusCode>(77), "x")).code() ==
        absl::StatusCode::kUnknown);
}

}  // namespace
}  // namespace coder::server
