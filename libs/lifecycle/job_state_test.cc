#include "libs/lifecycle/job_state.h"

#include <catch2/catch.hpp>
#include <random>
#include <set>
#include <vector>

#include "libs/status/error_reason.h"

namespace coder::lifecycle {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1700000000);

std::string ReasonText(const absl::Status& status) {
  const auto reason = status::ReasonOf(status);
  return reason ? reason->reason : "";
}

JobState After(const std::vector<JobEvent>& events) {
  JobState state;
  absl::Time now = kNow;
  for (const JobEvent& event : events) {
    const auto next = Step(state, event, now += absl::Seconds(1));
    INFO(next.status().ToString());
    REQUIRE(next.ok());
    state = *next;
  }
  return state;
}

TEST_CASE("each event leads from each status to one status or to one refusal") {
  // What comes of the event when the job is pending, running, canceling or completed: a status or a
  // refusal's reason.
  struct Row {
    const char* name;
    JobEvent event;
    const char* pending;
    const char* running;
    const char* canceling;
    const char* completed;
  };
  const Row rows[] = {
      {"acquire", Acquire{}, "running", "JOB_ALREADY_STARTED", "JOB_ALREADY_STARTED",
       "JOB_COMPLETED"},
      {"cancel", RequestCancel{}, "canceled", "canceling", "JOB_CANCELED", "JOB_COMPLETED"},
      {"cancel if pending", RequestCancel{JobStatus::kPending}, "canceled", "STATUS_MISMATCH",
       "STATUS_MISMATCH", "STATUS_MISMATCH"},
      {"cancel if running", RequestCancel{JobStatus::kRunning}, "STATUS_MISMATCH", "canceling",
       "STATUS_MISMATCH", "STATUS_MISMATCH"},
      {"succeed", Succeed{}, "JOB_NOT_RUNNING", "succeeded", "succeeded", "JOB_COMPLETED"},
      {"fail", Fail{"broken", ""}, "JOB_NOT_RUNNING", "failed", "failed", "JOB_COMPLETED"},
      {"report canceled", ReportCanceled{}, "JOB_NOT_RUNNING", "JOB_NOT_CANCELING", "canceled",
       "JOB_COMPLETED"},
      {"lease expires", LeaseExpire{}, "JOB_NOT_RUNNING", "failed", "failed", "JOB_COMPLETED"},
      {"withdraw", Withdraw{}, "JOB_NOT_RUNNING", "pending", "canceled", "JOB_COMPLETED"},
  };
  const auto outcome = [](const JobState& state, const JobEvent& event) {
    const auto next = Step(state, event, kNow);
    return next.ok() ? std::string(ToString(StatusOf(*next))) : ReasonText(next.status());
  };
  for (const Row& row : rows) {
    DYNAMIC_SECTION(row.name) {
      CHECK(outcome({}, row.event) == row.pending);
      CHECK(outcome(After({Acquire{}}), row.event) == row.running);
      CHECK(outcome(After({Acquire{}, RequestCancel{}}), row.event) == row.canceling);
      CHECK(outcome(After({RequestCancel{}}), row.event) == row.completed);
      CHECK(outcome(After({Acquire{}, Succeed{}}), row.event) == row.completed);
      CHECK(outcome(After({Acquire{}, LeaseExpire{}}), row.event) == row.completed);
    }
  }
}

TEST_CASE("the times and the error tell what happened") {
  const JobState canceled = After({RequestCancel{}});
  CHECK(canceled.canceled_at == canceled.completed_at);
  CHECK_FALSE(canceled.started_at);

  const JobState failed = After({Acquire{}, RequestCancel{}, Fail{"quota exceeded", "QUOTA"}});
  CHECK(failed.started_at == kNow + absl::Seconds(1));
  CHECK(failed.canceled_at == kNow + absl::Seconds(2));
  CHECK(failed.completed_at == kNow + absl::Seconds(3));
  CHECK(failed.error == "quota exceeded");
  CHECK(failed.error_code == "QUOTA");

  const JobState expired = After({Acquire{}, LeaseExpire{}});
  CHECK(expired.error_code == "LEASE_EXPIRED");
  CHECK_FALSE(expired.error.empty());

  CHECK_FALSE(After({Acquire{}, RequestCancel{}, Succeed{}}).canceled_at);
  CHECK((After({Acquire{}, Withdraw{}}) == JobState{}));
}

TEST_CASE("a failure has to say why") {
  const absl::Status status = Step(After({Acquire{}}), Fail{}, kNow).status();
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
}

// The same promises in one word per job, written without looking at the times.
std::string ModelStep(const std::string& status, const std::string& event) {
  if (event == "acquire") return status == "pending" ? "running" : "";
  if (event == "cancel") {
    return status == "pending" ? "canceled" : status == "running" ? "canceling" : "";
  }
  const bool held = status == "running" || status == "canceling";
  if (!held) return "";
  if (event == "succeed") return "succeeded";
  if (event == "fail" || event == "expire") return "failed";
  if (event == "report") return status == "canceling" ? "canceled" : "";
  return status == "running" ? "pending" : "canceled";
}

TEST_CASE("over random sequences a job is always where the model says") {
  const std::vector<std::pair<std::string, JobEvent>> events = {
      {"acquire", Acquire{}},  {"cancel", RequestCancel{}},  {"succeed", Succeed{}},
      {"fail", Fail{"x", ""}}, {"report", ReportCanceled{}}, {"expire", LeaseExpire{}},
      {"withdraw", Withdraw{}}};
  std::mt19937 random(7);
  std::set<std::string> visited;
  for (int round = 0; round < 5000; ++round) {
    JobState state;
    std::string model = "pending";
    std::string path;
    for (int step = 0; step < 12; ++step) {
      const auto& [name, event] = events[random() % events.size()];
      path += " " + name;
      const std::string expected = ModelStep(model, name);
      const auto next = Step(state, event, kNow + absl::Seconds(step));
      INFO(path);
      REQUIRE(next.ok() == !expected.empty());
      if (!next.ok()) continue;
      state = *next;
      model = expected;
      visited.insert(model);
      REQUIRE(std::string(ToString(StatusOf(state))) == model);
      // What the database holds true of every row.
      REQUIRE((state.error.empty() || state.completed_at.has_value()));
      REQUIRE(IsFinal(StatusOf(state)) == state.completed_at.has_value());
    }
  }
  CHECK(visited.size() == 6);
}

}  // namespace
}  // namespace coder::lifecycle
