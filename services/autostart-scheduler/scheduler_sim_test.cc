// Schedulers, a deployment and its people, played against each other by seeded chance. The
// deployment keeps the contract of storage::LifecycleStore in memory: what is checked is that the
// pass, the rules and that contract together give each attempt for a nominal time one outcome and
// at most one build, that attempts follow one another, and that nothing starts when it was said not
// to.

#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "libs/clock/fake_clock.h"
#include "libs/ids/uuid.h"
#include "libs/lifecycle/decision.h"
#include "libs/metrics/metrics.h"
#include "libs/schedule/cron.h"
#include "services/autostart-scheduler/scheduler_pass.h"

namespace coder::scheduler {
namespace {

using lifecycle::BuildTransition;
using lifecycle::JobStatus;
using lifecycle::LifecycleAction;
using lifecycle::LifecycleKind;
using lifecycle::LifecycleOutcome;
using lifecycle::LifecycleProposal;
using lifecycle::LifecycleResult;
using lifecycle::UserStatus;
using lifecycle::WorkspaceId;

constexpr int kSeeds = 2'000;
constexpr int kSteps = 120;
constexpr int kWorkspaces = 3;
const absl::Time kBegin = absl::FromUnixSeconds(1'772'400'000);  // 2026-03-01T21:20:00Z
const char* const kSchedules[] = {"CRON_TZ=UTC 0 9 * * *", "CRON_TZ=Europe/Berlin 30 2 * * *",
                                  "CRON_TZ=America/New_York 15 1 * * 0,3", "0 */6 * * *"};

// Rule, nominal time and attempt.
using Key = std::tuple<LifecycleKind, absl::Time, int32_t>;

struct Outcome {
  LifecycleOutcome outcome = LifecycleOutcome::kSkipped;
  std::string reason;
  absl::Time decided_at;
};

struct Workspace {
  WorkspaceId id;
  lifecycle::LifecycleSnapshot snapshot;
  std::map<Key, Outcome> outcomes;
  /// What the newest build is for, if it is an autostart.
  std::optional<lifecycle::FailedAutostart> latest;
  /// How many builds each nominal time has caused.
  std::map<Key, int> builds;
  /// Nominal autostarts of schedules it had before.
  std::set<absl::Time> former_slots;
};

class Dice {
 public:
  explicit Dice(uint64_t seed) : engine_(seed) {}
  int Below(int limit) { return static_cast<int>(engine_() % static_cast<uint64_t>(limit)); }
  bool OneIn(int times) { return Below(times) == 0; }

 private:
  std::mt19937_64 engine_;
};

/// What coderd-api and its database are to a scheduler.
class Deployment {
 public:
  explicit Deployment(Dice& dice) : dice_(dice) {
    for (int i = 0; i < kWorkspaces; ++i) {
      Workspace made;
      made.id = WorkspaceId(ids_.Next());
      made.snapshot.transition = BuildTransition::kStop;
      made.snapshot.build_created_at = now;
      made.snapshot.job_completed_at = now;
      made.snapshot.last_used_at = now;
      made.snapshot.autostart_schedule = kSchedules[dice_.Below(std::size(kSchedules))];
      made.snapshot.autostart_set_at = now;
      made.snapshot.autostart_offset = absl::Seconds(dice_.OneIn(2) ? dice_.Below(1800) : 0);
      made.snapshot.policy.autostart_max_attempts = 1 + dice_.Below(3);
      if (dice_.OneIn(3)) {
        const absl::CivilDay first = absl::ToCivilDay(now, absl::UTCTimeZone()) + dice_.Below(4);
        made.snapshot.blackouts = {{first, first + dice_.Below(3), ""}};
      }
      workspaces.push_back(made);
    }
  }

  absl::Status CheckTick(absl::Time tick) const {
    return tick <= now + absl::Minutes(1) ? absl::OkStatus()
                                          : absl::FailedPreconditionError("tick in future");
  }

  std::vector<LifecycleResult> Apply(const std::vector<LifecycleProposal>& proposals) {
    std::set<WorkspaceId> named;
    for (const LifecycleProposal& proposal : proposals) named.insert(proposal.workspace_id);
    for (Workspace& workspace : workspaces) {
      if (named.contains(workspace.id)) DecideAgain(workspace);
    }
    std::vector<LifecycleResult> results;
    for (const LifecycleProposal& proposal : proposals) {
      results.push_back(Answer(proposal));
    }
    return results;
  }

  void Build(Workspace& workspace, BuildTransition transition) {
    workspace.snapshot.transition = transition;
    workspace.snapshot.job_status = JobStatus::kPending;
    workspace.snapshot.build_created_at = now;
    workspace.snapshot.job_completed_at.reset();
    workspace.snapshot.deadline.reset();
    workspace.latest.reset();
    workspace.snapshot.failed_autostart.reset();
  }

  void Finish(Workspace& workspace, JobStatus status) {
    if (lifecycle::IsFinal(workspace.snapshot.job_status)) return;
    workspace.snapshot.job_status = status;
    workspace.snapshot.job_completed_at = now;
    NoteFailure(workspace);
    if (workspace.snapshot.transition == BuildTransition::kStart && dice_.OneIn(2)) {
      workspace.snapshot.deadline = now + absl::Hours(2);
    }
  }

  absl::Time now = kBegin;
  bool provisioner = true;
  std::vector<Workspace> workspaces;

 private:
  // Whether the next attempt is decided already is what the database knows.
  void NoteFailure(Workspace& workspace) {
    workspace.snapshot.failed_autostart.reset();
    if (!workspace.latest || workspace.snapshot.job_status != JobStatus::kFailed) return;
    const auto next = workspace.outcomes.find(
        {LifecycleKind::kAutostart, workspace.latest->nominal_time, workspace.latest->attempt + 1});
    if (next != workspace.outcomes.end() && next->second.reason != "NO_PROVISIONER") return;
    workspace.snapshot.failed_autostart = workspace.latest;
  }

  // Told from the rules by itself.
  static void CheckMayStart(const Workspace& workspace, absl::Time nominal, int32_t attempt) {
    const lifecycle::LifecycleSnapshot& s = workspace.snapshot;
    REQUIRE(attempt <= s.policy.autostart_max_attempts);
    const auto cron = schedule::Cron::ParseWeekly(s.autostart_schedule);
    const absl::CivilDay day = absl::ToCivilDay(nominal, cron->zone());
    for (const auto& dates : s.blackouts) REQUIRE((day < dates.first || dates.last < day));
    if (attempt > 1) {
      const auto before =
          workspace.outcomes.find({LifecycleKind::kAutostart, nominal, attempt - 1});
      REQUIRE(before != workspace.outcomes.end());
      REQUIRE(before->second.outcome == LifecycleOutcome::kApplied);
    } else if (s.autostart_skip_until) {
      REQUIRE(nominal > *s.autostart_skip_until);
    }
  }

  void DecideAgain(Workspace& workspace) {
    const lifecycle::Decision decision = lifecycle::NextTransition(workspace.snapshot, now);
    for (const lifecycle::UnusedSlot& slot : decision.unused_slots) {
      Record(workspace, {LifecycleKind::kAutostart, slot.nominal_time, slot.attempt},
             slot.missed ? LifecycleOutcome::kMissed : LifecycleOutcome::kSkipped, slot.reason);
    }
    const Key key{decision.kind, decision.nominal_time, decision.attempt};
    const auto recorded = workspace.outcomes.find(key);
    const bool applied = recorded != workspace.outcomes.end() &&
                         recorded->second.outcome == LifecycleOutcome::kApplied;
    if (decision.action != LifecycleAction::kNone && !applied) {
      if (!provisioner) {
        Record(workspace, key, LifecycleOutcome::kSkipped, "NO_PROVISIONER");
      } else {
        const bool start = decision.action == LifecycleAction::kStart;
        if (start) CheckMayStart(workspace, decision.nominal_time, decision.attempt);
        Build(workspace, start ? BuildTransition::kStart : BuildTransition::kStop);
        if (start) workspace.latest = {decision.nominal_time, decision.attempt};
        ++workspace.builds[key];
        Record(workspace, key, LifecycleOutcome::kApplied, "");
      }
    }
    for (const auto& [at, outcome] : workspace.outcomes) {
      const auto& [kind, nominal, attempt] = at;
      if (kind != LifecycleKind::kAutostart || outcome.reason == "NO_PROVISIONER") continue;
      auto& until = workspace.snapshot.autostart_decided_until;
      until = std::max(until.value_or(nominal), nominal);
    }
    NoteFailure(workspace);
  }

  void Record(Workspace& workspace, const Key& key, LifecycleOutcome outcome,
              const std::string& reason) {
    const auto [entry, is_new] = workspace.outcomes.try_emplace(key);
    if (!is_new && entry->second.reason != "NO_PROVISIONER") return;
    entry->second = {outcome, reason, now};
  }

  LifecycleResult Answer(const LifecycleProposal& proposal) const {
    for (const Workspace& workspace : workspaces) {
      if (workspace.id != proposal.workspace_id) continue;
      const auto found =
          workspace.outcomes.find({proposal.kind, proposal.nominal_time, proposal.attempt});
      if (found == workspace.outcomes.end()) break;
      return {.outcome = found->second.outcome, .reason = found->second.reason};
    }
    return {.outcome = LifecycleOutcome::kNotDue};
  }

  Dice& dice_;
  ids::UuidV7Generator ids_{[this] { return now; },
                            [this] {
                              return static_cast<uint64_t>(dice_.Below(1 << 30)) << 30 |
                                     static_cast<uint64_t>(dice_.Below(1 << 30));
                            }};
};

/// The way between one scheduler and the deployment, on which anything may go wrong.
class UnsureClient : public LifecycleClient {
 public:
  UnsureClient(Deployment& deployment, Dice& dice, const std::function<void()>& meanwhile)
      : deployment_(deployment), dice_(dice), meanwhile_(meanwhile) {}

  absl::Status StreamCandidates(absl::Time tick, std::stop_token, const Take& take) override {
    if (absl::Status refused = deployment_.CheckTick(tick); !refused.ok()) return refused;
    for (const Workspace& workspace : deployment_.workspaces) {
      if (!calm && dice_.OneIn(20)) return absl::UnavailableError("the stream broke");
      take({workspace.id, workspace.snapshot});
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<LifecycleResult>> Apply(
      absl::Time tick, const std::vector<LifecycleProposal>& proposals) override {
    // Frozen between decision and action.
    if (!calm && dice_.OneIn(4)) meanwhile_();
    if (!calm && dice_.OneIn(8)) return absl::UnavailableError("killed before the commit");
    if (absl::Status refused = deployment_.CheckTick(tick); !refused.ok()) return refused;
    std::vector<LifecycleResult> results = deployment_.Apply(proposals);
    if (!calm && dice_.OneIn(8)) return absl::UnavailableError("killed after the commit");
    return results;
  }

  bool calm = false;

 private:
  Deployment& deployment_;
  Dice& dice_;
  const std::function<void()>& meanwhile_;
};

class Scheduler {
 public:
  Scheduler(Deployment& deployment, Dice& dice, const std::function<void()>& meanwhile)
      : deployment_(deployment), client_(deployment, dice, meanwhile) {
    Restart();
  }

  void Restart() { pass_ = std::make_unique<SchedulerPass>(client_, clock_, scheduler_metrics_); }

  /// Nothing while it is frozen in an earlier tick.
  void Tick() {
    if (std::exchange(ticking_, true)) return;
    clock_.SetWall(deployment_.now + skew);
    if (!pass_->Run(std::stop_token()).ok()) Restart();
    ticking_ = false;
  }

  /// A tick on which nothing goes wrong.
  void CalmTick() {
    skew = absl::ZeroDuration();
    client_.calm = true;
    Tick();
    client_.calm = false;
  }

  /// How far its clock is ahead of the database's.
  absl::Duration skew;

 private:
  Deployment& deployment_;
  clock::FakeClock clock_{kBegin};
  metrics::Metrics metrics_{"1", "r", "c"};
  SchedulerMetrics scheduler_metrics_{metrics_.registry()};
  UnsureClient client_;
  std::unique_ptr<SchedulerPass> pass_;
  bool ticking_ = false;
};

class Play {
 public:
  explicit Play(uint64_t seed) : dice_(seed), deployment_(dice_) {
    for (int i = 0; i < 1 + dice_.Below(3); ++i) {
      schedulers_.push_back(std::make_unique<Scheduler>(deployment_, dice_, meanwhile_));
    }
  }

  void Run() {
    for (int i = 0; i < kSteps; ++i) Step();
    Settle();
    for (const Workspace& workspace : deployment_.workspaces) Check(workspace);
  }

  /// Builds of second and later attempts.
  int Retries() const {
    int retries = 0;
    for (const Workspace& workspace : deployment_.workspaces) {
      for (const auto& [key, count] : workspace.builds) retries += std::get<2>(key) > 1;
    }
    return retries;
  }

 private:
  void Step() {
    deployment_.now += absl::Seconds(1 + dice_.Below(600));
    switch (dice_.Below(10)) {
      case 0:
        return Person();
      case 1:
        return Downtime();
      case 2:
        return Confuse();
      case 3:
      case 4:
        return FinishSome();
      default:
        schedulers_[dice_.Below(static_cast<int>(schedulers_.size()))]->Tick();
    }
  }

  void Person() {
    Workspace& workspace = Any();
    lifecycle::LifecycleSnapshot& snapshot = workspace.snapshot;
    switch (dice_.Below(6)) {
      case 0:
        snapshot.owner_status = dice_.OneIn(2) ? UserStatus::kSuspended : UserStatus::kActive;
        return;
      case 1:
        snapshot.dormant_at = dice_.OneIn(3) ? std::optional(deployment_.now) : std::nullopt;
        return;
      case 2:
        return ChangeSchedule(workspace);
      case 3:
        snapshot.autostart_skip_until =
            dice_.OneIn(3) ? std::nullopt : std::optional(deployment_.now + absl::Hours(12));
        return;
      default:
        if (!lifecycle::IsFinal(snapshot.job_status)) return;
        deployment_.Build(workspace,
                          dice_.OneIn(2) ? BuildTransition::kStart : BuildTransition::kStop);
    }
  }

  void ChangeSchedule(Workspace& workspace) {
    for (const absl::Time slot : SlotsOf(workspace)) workspace.former_slots.insert(slot);
    workspace.snapshot.autostart_schedule = kSchedules[dice_.Below(std::size(kSchedules))];
    workspace.snapshot.autostart_set_at = deployment_.now;
  }

  void Downtime() {
    const absl::Duration lengths[] = {absl::Minutes(10), absl::Hours(1), absl::Hours(24)};
    deployment_.now += dice_.OneIn(40) ? absl::Hours(40 * 24) : lengths[dice_.Below(3)];
  }

  void Confuse() {
    const absl::Duration jumps[] = {absl::ZeroDuration(), absl::Seconds(30), absl::Minutes(-5),
                                    absl::Minutes(5),     absl::Hours(1),    absl::Hours(-1),
                                    absl::Hours(24),      absl::Hours(-24)};
    schedulers_[dice_.Below(static_cast<int>(schedulers_.size()))]->skew =
        jumps[dice_.Below(std::size(jumps))];
    deployment_.provisioner = !dice_.OneIn(4);
  }

  void FinishSome() {
    const JobStatus ends[] = {JobStatus::kSucceeded, JobStatus::kSucceeded, JobStatus::kSucceeded,
                              JobStatus::kFailed, JobStatus::kCanceled};
    Workspace& workspace = Any();
    // Often enough that attempts follow one another.
    const bool fails = workspace.latest && dice_.OneIn(2);
    deployment_.Finish(workspace, fails ? JobStatus::kFailed : ends[dice_.Below(std::size(ends))]);
  }

  // Whatever was left open is decided once nothing goes wrong any more.
  void Settle() {
    deployment_.provisioner = true;
    for (int i = 0; i < 3; ++i) {
      for (Workspace& workspace : deployment_.workspaces) {
        deployment_.Finish(workspace, JobStatus::kSucceeded);
      }
      deployment_.now += absl::Seconds(20);
      schedulers_.front()->CalmTick();
    }
  }

  std::vector<absl::Time> SlotsOf(const Workspace& workspace) const {
    const auto cron = schedule::Cron::ParseWeekly(workspace.snapshot.autostart_schedule);
    std::vector<absl::Time> slots;
    const absl::Time last = deployment_.now - workspace.snapshot.autostart_offset;
    for (absl::Time slot = cron->Next(*workspace.snapshot.autostart_set_at); slot <= last;
         slot = cron->Next(slot)) {
      slots.push_back(slot);
    }
    return slots;
  }

  void Check(const Workspace& workspace) const {
    for (const auto& [key, count] : workspace.builds) {
      INFO(lifecycle::ToString(std::get<0>(key)) << " of " << std::get<1>(key));
      REQUIRE(count == 1);
      REQUIRE(workspace.outcomes.at(key).outcome == LifecycleOutcome::kApplied);
    }
    std::set<absl::Time> slots = workspace.former_slots;
    const std::vector<absl::Time> current = SlotsOf(workspace);
    slots.insert(current.begin(), current.end());
    for (const auto& [key, outcome] : workspace.outcomes) {
      const auto& [kind, nominal, attempt] = key;
      if (kind != LifecycleKind::kAutostart) continue;
      INFO("an outcome of " << nominal);
      REQUIRE(slots.contains(nominal));
      if (outcome.outcome != LifecycleOutcome::kApplied || attempt > 1) continue;
      const absl::Time due = nominal + workspace.snapshot.autostart_offset;
      REQUIRE(due <= outcome.decided_at);
      REQUIRE(outcome.decided_at - due <= workspace.snapshot.policy.autostart_catch_up);
    }
    // Of an outage longer than can be told, only the oldest slots and the newest are.
    if (current.size() > lifecycle::kMaxUnusedSlots) return;
    // A scheduler ticks at whole minutes, and a place in the spread window lies between them.
    const absl::Time tick =
        deployment_.now - (deployment_.now - absl::UnixEpoch()) % absl::Minutes(1);
    for (const absl::Time slot : current) {
      if (slot > tick - workspace.snapshot.autostart_offset) continue;
      INFO("no outcome of " << slot << " of " << workspace.snapshot.autostart_schedule);
      REQUIRE(workspace.outcomes.contains({LifecycleKind::kAutostart, slot, 1}));
    }
  }

  Workspace& Any() { return deployment_.workspaces[dice_.Below(kWorkspaces)]; }

  Dice dice_;
  Deployment deployment_;
  bool nested_ = false;
  // What happens to the world while a scheduler is frozen.
  const std::function<void()> meanwhile_ = [this] {
    if (std::exchange(nested_, true)) return;
    for (int i = 0; i < 1 + dice_.Below(5); ++i) Step();
    nested_ = false;
  };
  std::vector<std::unique_ptr<Scheduler>> schedulers_;
};

TEST_CASE("each nominal time has one outcome and at most one build, whatever goes wrong") {
  int retries = 0;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    INFO("seed " << seed);
    Play play(seed);
    play.Run();
    retries += play.Retries();
  }
  // Or the seeds prove nothing of them.
  CHECK(retries > 100);
}

}  // namespace
}  // namespace coder::scheduler
