#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>

#include "libs/events/poker.h"
#include "libs/server/loop.h"
#include "libs/storage/postgres/pg_job_store.h"
#include "libs/storage/postgres/pg_job_view_store.h"
#include "services/coderd-api/daemon_presence_pass.h"
#include "services/coderd-api/debug_pages.h"
#include "services/coderd-api/job_dispatcher.h"
#include "services/coderd-api/job_metrics.h"
#include "services/coderd-api/provisioner_service.h"
#include "services/coderd-api/reap_pass.h"
#include "services/coderd-api/stream_job_logs_reactor.h"
#include "services/coderd-api/wiring.h"

namespace coder::api {
namespace {

constexpr int kWorkThreads = 4;
constexpr size_t kMaxWaitingWork = 1024;

// Replicas that started together must not ask together for good.
absl::Duration Jittered(absl::Duration interval) {
  std::random_device random;
  return interval * (0.8 + 0.4 * (random() % 1000) / 1000.0);
}

void WireReaper(Wiring& wiring, storage::JobStore& store, JobMetrics& metrics,
                events::OutboxPoker& poker, ReapPass*& reaper) {
  reaper = &wiring.Make<ReapPass>(
      store, wiring->clock,
      ReapPass::Options{.lease = wiring->config.lease_duration,
                        .on_reaped = [&](const std::vector<storage::ReapedJob>& jobs) {
                          metrics.CountReaped(jobs);
                          poker.Poke();
                          for (const auto& job : jobs) wiring.job_logs().Poke(job.id);
                        }});
  // Passes further apart than half a lease look like pauses, after which nothing is reaped.
  const absl::Duration interval = std::min(absl::Seconds(5), wiring->config.lease_duration / 4);
  wiring.Run<server::Loop>(
      server::LoopOptions{.name = "job-reaper", .interval = Jittered(interval)},
      [reaper](std::stop_token stop) { return reaper->Run(std::move(stop)); }, wiring->clock,
      wiring->metrics.registry());
}

// Looks by itself for what no signal told of, such as what replicas without NATS did.
void WirePolls(Wiring& wiring, JobDispatcher& dispatcher, LogFollowers& followers,
               storage::JobViewStore& views, JobMetrics& metrics, LatestJobCounts& counted) {
  const auto poll = [&wiring](const char* name, absl::Duration interval, server::Pass pass) {
    wiring.Run<server::Loop>(server::LoopOptions{.name = name, .interval = interval},
                             std::move(pass), wiring->clock, wiring->metrics.registry());
  };
  poll("job-queue-poll", Jittered(absl::Seconds(5)), [&dispatcher](std::stop_token) {
    dispatcher.WakeAll();
    return server::PassOutcome::kIdle;
  });
  poll("job-log-poll", absl::Seconds(1), [&followers](std::stop_token) {
    followers.WakeAll();
    return server::PassOutcome::kIdle;
  });
  poll("job-count", Jittered(absl::Seconds(15)),
       [&](std::stop_token) -> absl::StatusOr<server::PassOutcome> {
         const auto counts = views.CountJobs(clock::Deadline::After(absl::Seconds(5)));
         if (!counts.ok()) return counts.status();
         metrics.SetJobs(*counts);
         counted.Set(*counts, wiring->clock.MonotonicNow());
         return server::PassOutcome::kIdle;
       });
}

}  // namespace

StreamJobLogsParts& WireJobs(Wiring& wiring) {
  const absl::Duration lease = wiring->config.lease_duration;
  auto& store =
      wiring.Make<storage::PgJobStore>(wiring->pool, wiring->ids, wiring->config.quiet_hours);
  auto& views = wiring.Make<storage::PgJobViewStore>(wiring->pool);
  events::OutboxPoker& poker = wiring.poker();
  auto& metrics = wiring.Make<JobMetrics>(wiring->metrics.registry());
  auto& work = wiring.Make<WorkQueue>(kWorkThreads, kMaxWaitingWork);
  auto& streams = wiring.Make<AcquireStreamSet>();
  auto& followers = wiring.Make<LogFollowers>();
  auto& dispatcher = wiring.Run<JobDispatcher>(
      store,
      JobDispatcher::Options{.lease = lease, .on_delivered = [&](const storage::AcquiredJob& job) {
                               metrics.ObserveQueueWait(job);
                               poker.Poke();
                             }});
  wiring.job_queue().Subscribe(
      [&dispatcher, &hints = wiring.hints()](const lifecycle::OrganizationId& id) {
        dispatcher.Wake(id);
        hints.Send(kJobQueueHint);
      });
  wiring.hints().Hear(kJobQueueHint, [&dispatcher] { dispatcher.WakeAll(); });
  wiring.job_logs().Subscribe([&followers](const lifecycle::JobId& id) { followers.Wake(id); });

  ReapPass* reaper = nullptr;
  WireReaper(wiring, store, metrics, poker, reaper);
  auto& counted = wiring.Make<LatestJobCounts>();
  WirePolls(wiring, dispatcher, followers, views, metrics, counted);
  wiring->admin.AddDebugPage("jobs", "unfinished jobs, and the daemons that wait for one here",
                             [&counted, &dispatcher, &streams, &clock = wiring->clock] {
                               return JobsPage(counted.Get(), clock.MonotonicNow(),
                                               dispatcher.Waiting(), streams.All().size());
                             });
  auto& presence = wiring.Make<DaemonPresencePass>(
      store, streams, [&metrics](size_t count) { metrics.SetAcquireStreams(count); });
  wiring.Run<server::Loop>(
      server::LoopOptions{.name = "daemon-presence", .interval = absl::Seconds(2)},
      [&presence](std::stop_token stop) { return presence.Run(std::move(stop)); }, wiring->clock,
      wiring->metrics.registry());

  auto& acquire = wiring.Make<AcquireJobsParts>(AcquireJobsParts{wiring->gate, store, dispatcher,
                                                                 work, streams, wiring->keyring,
                                                                 wiring->config.access_url, lease});
  wiring.Serve<ProvisionerService>(
      "coder.provisioner.v1.ProvisionerService",
      ProvisionerService::Parts{
          wiring->gate, store, wiring->keyring, poker, wiring.job_queue(), wiring.job_logs(),
          acquire, lease, [reaper] { reaper->FoundUnavailable(); },
          [&metrics](const storage::CompletedBuild& build) { metrics.ObserveCompleted(build); }});
  wiring->grpc.OnDrain([&streams, &followers] {
    for (const auto& stream : streams.All()) stream->Drain();
    followers.Drain();
  });
  return wiring.Make<StreamJobLogsParts>(StreamJobLogsParts{wiring->gate, views, work, followers});
}

}  // namespace coder::api
