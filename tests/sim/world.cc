#include "tests/sim/world.h"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/sim/actors.h"

namespace coder::sim {
namespace {

constexpr absl::Duration kTrouble = absl::Seconds(15);
constexpr absl::Duration kWriting = absl::Seconds(18);
// The promise is ten seconds after the last fault; a caller's rights are asked for once more.
constexpr absl::Duration kCalm = absl::Seconds(31);

relay::RelayMetrics& Metrics() {
  static prometheus::Registry registry;
  static relay::RelayMetrics metrics(registry);
  return metrics;
}

class World {
 public:
  World(uint64_t seed, Omissions omissions)
      : omissions_(omissions),
        random_(seed),
        fibers_(clock_, random_),
        database_(host_, 2 + static_cast<int>(random_.Below(5))),
        bus_(host_) {
    bus_.fence = !omissions.fence;
    bus_.tells_history = !omissions.epoch_check;
    database_.binds_sessions = !omissions.sessions;
  }

  Outcome Run();

 private:
  using Fault = std::function<void()>;

  void StartRelay(size_t place);
  void StartReplica(size_t place);
  void StartClient(int number);
  void Write();
  void ChangeRights();
  events::WatchRights SomeRights(const Caller& caller);
  std::vector<Fault> FaultsOfThisRun();
  void MakeTrouble();
  void BackUp();
  void StopBus();
  void Restore();
  void EndTrouble();
  void CheckCalm();
  absl::Duration Some(absl::Duration longest) { return random_.Upto(longest); }
  template <typename Processes>
  auto& Any(Processes& processes) {
    return *processes[static_cast<size_t>(random_.Below(static_cast<int64_t>(processes.size())))];
  }

  const Omissions omissions_;
  clock::FakeClock clock_;
  Random random_;
  Checker checker_{absl::Seconds(3)};
  Fibers fibers_;
  Host host_{clock_, random_, fibers_, checker_};
  Database database_;
  Bus bus_;
  std::map<std::string, Caller> callers_;
  std::vector<std::shared_ptr<Relay>> relays_;
  std::vector<std::shared_ptr<Replica>> replicas_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<Database::State> backups_;
  Replica::Options replica_options_;
  // An epoch that the relays are to find out about from the stream, which is left alone meanwhile.
  int64_t awaited_epoch_ = 0;
  int64_t faults_ = 0;
  const Process operator_;
};

void World::StartRelay(size_t place) {
  auto relay = std::make_shared<Relay>(host_, database_, bus_, Metrics());
  relays_[place] = relay;
  fibers_.Spawn([relay] { relay->Run(); });
}

void World::StartReplica(size_t place) {
  auto replica = std::make_shared<Replica>(host_, database_, bus_, callers_, replica_options_);
  replicas_[place] = replica;
  fibers_.Spawn([replica] { replica->Feed(); });
  fibers_.Spawn([replica] { replica->CheckRights(); });
}

void World::StartClient(int number) {
  Client::Options options = {.name = absl::StrCat("client-", number)};
  auto caller = callers_.begin();
  std::advance(caller, number == 0 ? 0 : random_.Below(static_cast<int64_t>(callers_.size())));
  options.caller = caller->first;
  options.read_time = random_.OneIn(4) ? absl::Seconds(3) : absl::Milliseconds(30);
  options.max_bytes = static_cast<size_t>(1 + random_.Below(1000));
  options.patience = 5 + random_.Below(60);
  if (number > 0 && random_.OneIn(3)) options.filter.organization_ids = {"org-0"};
  if (number > 0 && random_.OneIn(4)) options.filter.owner_ids = {"user-0", "user-1"};
  if (number > 0 && random_.OneIn(6)) options.filter.workspace_ids = {"ws-1"};
  clients_.push_back(std::make_unique<Client>(host_, replicas_, database_, std::move(options)));
  fibers_.Spawn([client = clients_.back().get()] { client->Run(); });
}

void World::Write() {
  const bool poisons = random_.OneIn(3);
  while (!fibers_.finishing() && host_.now() < kWriting) {
    fibers_.Sleep(operator_, Some(absl::Milliseconds(200)));
    const auto count = static_cast<int64_t>(database_.state().workspaces.size());
    for (int64_t burst = random_.OneIn(10) ? random_.Below(30) : 1; burst > 0; --burst) {
      const auto workspace = static_cast<size_t>(random_.Below(count));
      const auto write = database_.Begin(workspace, !poisons || !random_.OneIn(40));
      if (!write) continue;
      if (!random_.OneIn(3)) fibers_.Sleep(operator_, Some(absl::Milliseconds(100)));
      random_.OneIn(10) ? database_.Abort(*write) : database_.Commit(*write);
    }
  }
}

events::WatchRights World::SomeRights(const Caller& caller) {
  switch (random_.Below(4)) {
    case 0:
      return {.everything = true};
    case 1:
      return {.organization_ids = {absl::StrCat("org-", random_.Below(2))}};
    case 2:
      return {.owner_id = caller.id, .owner_organization_ids = {"org-0", "org-1"}};
    default:
      return {};
  }
}

void World::ChangeRights() {
  while (!fibers_.finishing() && host_.now() < kWriting) {
    fibers_.Sleep(operator_, Some(absl::Seconds(4)));
    // The first caller's rights stay as they are.
    auto caller = std::next(callers_.begin(), 1 + random_.Below(2));
    caller->second.rights = SomeRights(caller->second);
    caller->second.admitted = !random_.OneIn(5) || host_.now() > kTrouble;
    checker_.ChangeRights(caller->first, host_.now(), caller->second.rights,
                          caller->second.admitted);
  }
}

void World::BackUp() {
  while (!fibers_.finishing() && host_.now() < kTrouble) {
    fibers_.Sleep(operator_, Some(absl::Seconds(5)));
    backups_.push_back(database_.state());
  }
}

void World::StopBus() {
  bus_.down_until = host_.now() + Some(absl::Seconds(3));
  for (auto& relay : relays_) ++relay->link.changes;
  for (auto& replica : replicas_) ++replica->link.changes;
}

void World::Restore() {
  if (backups_.empty()) return;
  const auto& backup =
      backups_[static_cast<size_t>(random_.Below(static_cast<int64_t>(backups_.size())))];
  const storage::LogCursor& cursor = database_.state().cursor;
  // The stream alone tells only when it holds all that anyone may have seen; whether it can be
  // asked now is the relay's affair.
  const bool stream_tells =
      bus_.exists && !bus_.stored.empty() && bus_.stored.back().headers.epoch == cursor.epoch &&
      bus_.stored.back().headers.last_position == cursor.head && backup.cursor.head < cursor.head;
  const bool operator_begins_epoch = !stream_tells || random_.OneIn(2);
  if (!operator_begins_epoch) awaited_epoch_ = cursor.epoch + 1;
  database_.Restore(backup, operator_begins_epoch);
  // What befalls the one may befall both.
  if (random_.OneIn(3)) StopBus();
}

std::vector<World::Fault> World::FaultsOfThisRun() {
  const std::vector<Fault> known = {
      [this] { Any(relays_).process.dead = true; },
      [this] { Any(relays_).process.frozen_until = host_.now() + Some(absl::Seconds(8)); },
      [this] { Any(replicas_).process.dead = true; },
      [this] { Any(replicas_).process.frozen_until = host_.now() + Some(absl::Seconds(8)); },
      [this] { bus_.LoseTail(random_.Below(20)); },
      [this] { bus_.Delete(); },
      [this] { bus_.Purge(bus_.last_sequence); },
      [this] { bus_.well_configured = false; },
      [this] { bus_.AddPoison(); },
      [this] { bus_.full_until = host_.now() + Some(absl::Seconds(2)); },
      [this] {
        StopBus();
        if (random_.OneIn(2)) bus_.LoseTail(random_.Below(20));
      },
      [this] {
        Link& link = Any(relays_).link;
        link.cut_until = host_.now() + Some(absl::Seconds(3));
        ++link.changes;
      },
      [this] {
        Link& link = Any(replicas_).link;
        link.cut_until = host_.now() + Some(absl::Seconds(3));
        ++link.changes;
      },
      [this] {
        database_.down_until = host_.now() + Some(absl::Seconds(3));
        database_.CutSessions();
      },
      [this] { database_.slow_until = host_.now() + Some(absl::Seconds(3)); },
      [this] { database_.CutSessions(); },
      [this] { database_.lose_next_answer = true; },
      [this] { Restore(); },
      [this] { database_.BeginNextEpoch(); },
      [this] { database_.DropBelow(database_.state().cursor.head - random_.Below(100)); },
  };
  // Each run knows only some kinds, so that one kind cannot hide the consequences of another.
  std::vector<Fault> chosen;
  const int64_t of_twenty = 1 + random_.Below(12);
  for (const Fault& fault : known) {
    if (random_.Below(20) < of_twenty) chosen.push_back(fault);
  }
  return chosen;
}

void World::MakeTrouble() {
  const std::vector<Fault> faults = FaultsOfThisRun();
  const absl::Duration pace = absl::Milliseconds(100) + Some(absl::Seconds(2));
  while (!faults.empty() && host_.now() < kTrouble && !fibers_.finishing()) {
    fibers_.Sleep(operator_, Some(pace));
    if (awaited_epoch_ > 0 && database_.state().cursor.epoch < awaited_epoch_) continue;
    awaited_epoch_ = 0;
    faults[static_cast<size_t>(random_.Below(static_cast<int64_t>(faults.size())))]();
    ++faults_;
    for (size_t i = 0; i < relays_.size(); ++i) {
      if (relays_[i]->process.dead) StartRelay(i);
    }
    for (size_t i = 0; i < replicas_.size(); ++i) {
      if (replicas_[i]->process.dead) StartReplica(i);
    }
  }
}

void World::EndTrouble() {
  const absl::Duration now = host_.now();
  database_.down_until = database_.slow_until = bus_.down_until = bus_.full_until = now;
  for (auto& relay : relays_) relay->process.frozen_until = relay->link.cut_until = now;
  for (auto& replica : replicas_) {
    replica->process.frozen_until = replica->link.cut_until = now;
    replica->options.faults = {};
  }
  for (auto& client : clients_) client->Hurry();
  for (auto& [id, caller] : callers_) {
    caller.admitted = true;
    checker_.ChangeRights(id, now, caller.rights, true);
  }
}

void World::CheckCalm() {
  const storage::LogCursor& cursor = database_.state().cursor;
  if (!database_.state().outbox.empty()) {
    checker_.Fail("Convergence", "events were left in the outbox");
  }
  const bool published = !bus_.stored.empty() && bus_.stored.back().headers.epoch == cursor.epoch &&
                         bus_.stored.back().headers.last_position == cursor.head;
  if (cursor.head > 0 && !published) {
    checker_.Fail("Convergence",
                  absl::StrCat("the stream does not end where the log does, at ", cursor.head));
  }
  for (const auto& replica : replicas_) {
    if (!replica->caught_up()) checker_.Fail("Convergence", "a ring is not at the log's head");
  }
  for (const auto& client : clients_) {
    if (client->chain().epoch != cursor.epoch || client->chain().cursor != cursor.head) {
      checker_.Fail("Convergence",
                    absl::StrCat(client->chain().client, " is at ", client->chain().cursor,
                                 " of epoch ", client->chain().epoch, ", the log at ", cursor.head,
                                 " of epoch ", cursor.epoch));
    }
  }
}

Outcome World::Run() {
  for (const char* id : {"admin", "user-0", "user-1"}) {
    Caller caller = {.id = id, .rights = {.everything = true}};
    checker_.ChangeRights(id, host_.now(), caller.rights, true);
    callers_[id] = std::move(caller);
  }
  replica_options_ = {.ring = {.events = 5 + random_.Below(100)},
                      .pump = {.prime_events = 5 + random_.Below(60),
                               .poll_interval = absl::Milliseconds(250),
                               .check_interval = absl::Seconds(2),
                               .read_events = 1 + random_.Below(100)},
                      .checks_rights = !omissions_.rights_checks,
                      .drops = !omissions_.drop,
                      .fills_gaps = !omissions_.gap_fill};
  if (random_.OneIn(2)) replica_options_.faults.skipped = 10;
  if (random_.OneIn(2)) replica_options_.faults.repeated = 10;
  if (random_.OneIn(2)) replica_options_.faults.late = 10;
  relays_.resize(static_cast<size_t>(1 + random_.Below(2)));
  for (size_t i = 0; i < relays_.size(); ++i) StartRelay(i);
  replicas_.resize(static_cast<size_t>(1 + random_.Below(3)));
  for (size_t i = 0; i < replicas_.size(); ++i) StartReplica(i);
  for (int i = 0; i < 5; ++i) StartClient(i);
  for (int64_t i = 2 + random_.Below(3); i > 0; --i) fibers_.Spawn([this] { Write(); });
  fibers_.Spawn([this] { ChangeRights(); });
  fibers_.Spawn([this] { BackUp(); });
  fibers_.Spawn([this] { MakeTrouble(); });
  fibers_.RunUntil(kTrouble);
  EndTrouble();
  fibers_.RunUntil(kCalm);
  CheckCalm();
  for (auto& relay : relays_) relay->process.dead = true;
  for (auto& replica : replicas_) replica->process.dead = true;
  fibers_.Finish();

  Outcome outcome = {.violations = checker_.violations(),
                     .committed = database_.state().cursor.head,
                     .epochs = database_.state().cursor.epoch,
                     .faults = faults_,
                     .doubled = bus_.doubled,
                     .switches = fibers_.switches(),
                     .digest = fibers_.digest()};
  for (const auto& client : clients_) {
    outcome.received += client->received();
    outcome.resumes += client->resumes();
  }
  return outcome;
}

}  // namespace

Outcome RunSeed(uint64_t seed, Omissions omissions) { return World(seed, omissions).Run(); }

}  // namespace coder::sim
