#include "cli/coderctl/scaletest/build_board.h"

#include <catch2/catch.hpp>

namespace coder::cli::scaletest {
namespace {

using namespace events::v1;

BuildEvent Event(const std::string& workspace, int64_t version, int number, JobStatus status,
                 BuildReason reason = BUILD_REASON_CLI) {
  BuildEvent event;
  event.set_workspace_id(workspace);
  event.set_workspace_name("scaletest-ab-1");
  event.set_workspace_version(version);
  event.set_build_number(number);
  event.set_job_status(status);
  event.set_reason(reason);
  event.mutable_job_create_time()->set_seconds(100);
  if (status != JOB_STATUS_PENDING) event.mutable_job_start_time()->set_seconds(101);
  return event;
}

TEST_CASE("each build of each workspace keeps its own story") {
  BuildBoard board;
  const absl::Time now = absl::FromUnixSeconds(200);
  board.Apply(Event("a", 1, 1, JOB_STATUS_PENDING), now);
  board.Apply(Event("b", 1, 1, JOB_STATUS_PENDING), now);
  board.Apply(Event("a", 2, 1, JOB_STATUS_RUNNING), now + absl::Seconds(1));
  board.Apply(Event("a", 3, 2, JOB_STATUS_PENDING, BUILD_REASON_AUTOSTART), now);

  CHECK(board.Find("a", 1)->status == JOB_STATUS_RUNNING);
  CHECK(board.Find("a", 1)->acquired == absl::FromUnixSeconds(101));
  CHECK(board.Find("a", 1)->completed == absl::InfinitePast());
  CHECK(board.Find("a", 1)->seen == now + absl::Seconds(1));
  CHECK(board.Find("b", 1)->status == JOB_STATUS_PENDING);
  CHECK(board.Find("a", 3) == nullptr);
  CHECK(board.Find("c", 1) == nullptr);
  CHECK(board.FirstBy("a", BUILD_REASON_AUTOSTART)->number == 2);
  CHECK(board.FirstBy("b", BUILD_REASON_AUTOSTART) == nullptr);
  CHECK(board.out_of_order() == 0);
}

TEST_CASE("events of other workspaces are left out") {
  BuildBoard board;
  BuildEvent event = Event("a", 1, 1, JOB_STATUS_PENDING);
  event.set_workspace_name("dev");
  board.Apply(event, absl::UnixEpoch());
  CHECK(board.events() == 0);
  CHECK(board.Find("a", 1) == nullptr);
}

TEST_CASE("a lost and a repeated event are noticed") {
  BuildBoard board;
  // A stream may begin in the middle of a workspace's life.
  board.Apply(Event("a", 7, 3, JOB_STATUS_PENDING), absl::UnixEpoch());
  CHECK(board.out_of_order() == 0);
  board.Apply(Event("a", 9, 3, JOB_STATUS_SUCCEEDED), absl::UnixEpoch());
  CHECK(board.out_of_order() == 1);
  board.Apply(Event("a", 9, 3, JOB_STATUS_SUCCEEDED), absl::UnixEpoch());
  CHECK(board.out_of_order() == 2);
}

TEST_CASE("a job has ended when it can change no more") {
  for (const JobStatus status : {JOB_STATUS_SUCCEEDED, JOB_STATUS_FAILED, JOB_STATUS_CANCELED}) {
    CHECK(IsFinal(status));
  }
  for (const JobStatus status : {JOB_STATUS_PENDING, JOB_STATUS_RUNNING, JOB_STATUS_CANCELING}) {
    CHECK_FALSE(IsFinal(status));
  }
}

}  // namespace
}  // namespace coder::cli::scaletest
