#include "services/coderd-api/job_metrics.h"

#include <string>

#include "absl/time/time.h"

namespace coder::api {
namespace {

const prometheus::Histogram::BucketBoundaries& WaitBuckets() {
  static const prometheus::Histogram::BucketBoundaries buckets = {.1, .5,  1,   5,   10,  30,
                                                                  60, 120, 300, 600, 900, 1800};
  return buckets;
}

}  // namespace

JobMetrics::JobMetrics(prometheus::Registry& registry)
    : queue_wait_(prometheus::BuildHistogram()
                      .Name("coderd_provisioner_job_queue_wait_seconds")
                      .Help("Time from a job's creation until a provisioner took it.")
                      .Register(registry)),
      reaped_(prometheus::BuildCounter()
                  .Name("coderd_provisioner_jobs_reaped_total")
                  .Help("Jobs ended because their provisioner was not heard of for a lease.")
                  .Register(registry)),
      streams_(prometheus::BuildGauge()
                   .Name("coderd_provisioner_acquire_streams")
                   .Help("Open streams of daemons that wait for jobs.")
                   .Register(registry)
                   .Add({})),
      jobs_(prometheus::BuildGauge()
                .Name("coderd_provisioner_jobs")
                .Help("Unfinished provisioner jobs by engine and status.")
                .Register(registry)),
      schedule_lag_(prometheus::BuildHistogram()
                        .Name("coderd_schedule_lag_seconds")
                        .Help("From when a rule was due (the nominal time and the spread) until a "
                              "provisioner had its build (acquired) and until the build had "
                              "succeeded. What lies between the two is the engine's; what lies "
                              "before, and not in coderd_scheduler_schedule_lag_seconds, is the "
                              "queue's. Retries do not count.")
                        .Register(registry)) {
  for (const char* reason : {"autostart", "autostop", "dormancy", "failedstop", "autodelete"}) {
    for (const char* stage : {"acquired", "succeeded"}) {
      schedule_lag_.Add({{"build_reason", reason}, {"stage", stage}}, WaitBuckets());
    }
  }
  for (const char* job_type : {"workspace_build", "template_version_import"}) {
    reaped_.Add({{"job_type", job_type}});
  }
  // The series of every deployment; those of rarer reasons come with their first job.
  for (const char* provisioner : {"terraform", "echo"}) {
    for (const char* transition : {"start", "stop", "delete"}) {
      queue_wait_.Add({{"provisioner_type", provisioner},
                       {"job_type", "workspace_build"},
                       {"transition", transition},
                       {"build_reason", "initiator"}},
                      WaitBuckets());
    }
    queue_wait_.Add({{"provisioner_type", provisioner},
                     {"job_type", "template_version_import"},
                     {"transition", ""},
                     {"build_reason", ""}},
                    WaitBuckets());
  }
}

void JobMetrics::ObserveQueueWait(const storage::AcquiredJob& job) {
  const auto* build = std::get_if<storage::BuildWork>(&job.work);
  queue_wait_
      .Add({{"provisioner_type", job.provisioner},
            {"job_type", build ? "workspace_build" : "template_version_import"},
            {"transition", build ? std::string(lifecycle::ToString(build->transition)) : ""},
            {"build_reason", build ? std::string(lifecycle::ToString(build->reason)) : ""}},
           WaitBuckets())
      .Observe(absl::ToDoubleSeconds(job.started_at - job.created_at));
  if (build != nullptr && build->due_at) {
    ObserveLag(build->reason, "acquired", job.started_at - *build->due_at);
  }
}

void JobMetrics::ObserveLag(lifecycle::BuildReason reason, const char* stage, absl::Duration lag) {
  schedule_lag_
      .Add({{"build_reason", std::string(lifecycle::ToString(reason))}, {"stage", stage}},
           WaitBuckets())
      .Observe(absl::ToDoubleSeconds(lag));
}

void JobMetrics::ObserveCompleted(const storage::CompletedBuild& build) {
  if (build.due_at) ObserveLag(build.reason, "succeeded", build.completed_at - *build.due_at);
}

void JobMetrics::CountReaped(const std::vector<storage::ReapedJob>& jobs) {
  for (const storage::ReapedJob& job : jobs) {
    reaped_.Add({{"job_type", std::string(lifecycle::ToString(job.type))}}).Increment();
  }
}

void JobMetrics::SetAcquireStreams(size_t streams) { streams_.Set(static_cast<double>(streams)); }

void JobMetrics::SetJobs(const std::vector<storage::JobCount>& counts) {
  using lifecycle::JobStatus;
  for (const char* provisioner : {"terraform", "echo"}) {
    for (JobStatus status : {JobStatus::kPending, JobStatus::kRunning, JobStatus::kCanceling}) {
      double jobs = 0;
      for (const storage::JobCount& count : counts) {
        if (count.provisioner == provisioner && count.status == status) jobs = count.jobs;
      }
      jobs_
          .Add({{"provisioner", provisioner}, {"status", std::string(lifecycle::ToString(status))}})
          .Set(jobs);
    }
  }
}

}  // namespace coder::api
