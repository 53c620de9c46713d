#include "tests/sim/database.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/events/pack.h"
#include "libs/status/status_macros.h"

namespace coder::sim {
namespace {

constexpr size_t kEventsPerPack = 64;

absl::Status Gone() { return absl::UnavailableError("ask the database: the session is gone"); }

void AppendText(int field, const std::string& text, std::string& out) {
  out.push_back(static_cast<char>(field << 3 | 2));
  out.push_back(static_cast<char>(text.size()));
  out.append(text);
}

// A BuildEvent with what a watch selects by, and the serial as its template.
std::string Framed(const Database::Workspace& workspace, int64_t version, int64_t serial) {
  std::string bytes;
  AppendText(1, workspace.organization, bytes);
  AppendText(2, workspace.owner, bytes);
  AppendText(3, absl::StrCat(serial), bytes);
  AppendText(4, workspace.id, bytes);
  bytes.push_back(5 << 3);
  for (int64_t rest = version;; rest >>= 7) {
    bytes.push_back(static_cast<char>(rest < 128 ? rest : ((rest & 127) | 128)));
    if (rest < 128) break;
  }
  std::string framed;
  events::AppendFramed(bytes, framed);
  return framed;
}

}  // namespace

void Host::Pause(const Process& process, absl::Duration longest) const {
  const int64_t kind = random.Below(20);
  if (kind < 12 && now() >= process.frozen_until) return;
  fibers.Sleep(process, kind < 19 ? random.Upto(longest / 20) : random.Upto(longest));
}

Database::Database(Host& host, int workspaces) : host_(host) {
  state_.cursor.epoch = 1;
  for (int i = 0; i < workspaces; ++i) {
    state_.workspaces.push_back({.id = absl::StrCat("ws-", i),
                                 .organization = absl::StrCat("org-", i % 2),
                                 .owner = absl::StrCat("user-", i % 3)});
  }
}

std::optional<Database::Write> Database::Begin(size_t workspace, bool readable) {
  Workspace& row = state_.workspaces[workspace];
  if (!up() || row.locked) return std::nullopt;
  row.locked = true;
  Committed event = {.readable = readable,
                     .organization = row.organization,
                     .owner = row.owner,
                     .workspace = row.id,
                     .version = row.version + 1};
  const int64_t serial = host_.checker.Write(event);
  host_.checker.SetBytes(serial, readable ? Framed(row, row.version + 1, serial)
                                          : absl::StrCat("\xff poison ", serial));
  return Write{
      .workspace = workspace, .id = state_.next_id++, .serial = serial, .generation = generation_};
}

void Database::Commit(const Write& write) {
  if (write.generation != generation_ || !up()) return Abort(write);
  Workspace& row = state_.workspaces[write.workspace];
  row.locked = false;
  // A poisoned row is put there by hand and moves no workspace.
  if (host_.checker.event(write.serial).readable) ++row.version;
  state_.outbox[write.id] = write.serial;
  host_.checker.Commit(write.serial);
}

void Database::Abort(const Write& write) {
  if (write.generation >= restored_) state_.workspaces[write.workspace].locked = false;
}

void Database::Restore(const State& backup, bool operator_begins_epoch) {
  state_ = backup;
  for (Workspace& workspace : state_.workspaces) workspace.locked = false;
  restored_ = ++generation_;
  host_.checker.SetBack();
  if (operator_begins_epoch) BeginNextEpoch();
}

void Database::BeginNextEpoch() { BeginEpoch(state_.cursor.epoch + 1); }

void Database::BeginEpoch(int64_t at_least) {
  const int64_t next = std::max(at_least, highest_epoch_ + 1);
  host_.checker.BeginEpoch(state_.cursor.epoch, next, state_.cursor.head);
  state_.cursor.epoch = highest_epoch_ = next;
}

void Database::DropBelow(int64_t floor) {
  floor = std::min(floor, state_.cursor.confirmed_position);
  while (!state_.log.empty() && state_.log.front()->stored.last_position < floor) {
    state_.cursor.log_floor = state_.log.front()->stored.last_position + 1;
    state_.log.erase(state_.log.begin());
  }
  host_.checker.Drop(state_.cursor.log_floor);
}

absl::Status Sequencer::Call() {
  host_.Pause(process_, database_.latency());
  if (process_.dead || !database_.up()) return Gone();
  return absl::OkStatus();
}

absl::Status Sequencer::CallOn(int64_t session) {
  if (!database_.binds_sessions) return Session().status();
  RETURN_IF_ERROR(Call());
  if (session != session_ || generation_ != database_.generation()) {
    return absl::FailedPreconditionError("ask the database: the session is over");
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> Sequencer::Session() {
  RETURN_IF_ERROR(Call());
  if (session_ == 0 || generation_ != database_.generation()) {
    generation_ = database_.generation();
    ++session_;
  }
  return session_;
}

absl::StatusOr<storage::Sequenced> Sequencer::Sequence(int64_t session, int64_t max_events,
                                                       int64_t confirmed) {
  RETURN_IF_ERROR(CallOn(session));
  // The snapshot is taken before the cursor's lock is waited for.
  std::vector<int64_t> ids;
  for (const auto& [id, serial] : database_.state().outbox) {
    if (static_cast<int64_t>(ids.size()) == max_events) break;
    ids.push_back(id);
  }
  RETURN_IF_ERROR(Call());
  if (generation_ != database_.generation()) return Gone();
  Database::State& state = database_.state();
  const bool nothing_to_do = ids.empty() && confirmed <= state.cursor.confirmed_position;
  state.cursor.confirmed_position = std::max(state.cursor.confirmed_position, confirmed);
  storage::Sequenced sequenced;
  if (!nothing_to_do) sequenced = Move(ids);
  if (std::exchange(database_.lose_next_answer, false)) database_.CutSessions();
  // The answer is lost with the session that would bring it.
  host_.Pause(process_, database_.latency());
  if (process_.dead || !database_.up() || generation_ != database_.generation()) return Gone();
  return sequenced;
}

storage::Sequenced Sequencer::Move(const std::vector<int64_t>& ids) {
  Database::State& state = database_.state();
  storage::Sequenced sequenced{.epoch = state.cursor.epoch};
  std::shared_ptr<Database::Pack> pack;
  const auto close = [&] {
    if (!pack) return;
    sequenced.packs.push_back(pack->stored);
    state.log.push_back(std::move(pack));
    pack = nullptr;
  };
  for (const int64_t id : ids) {
    const auto row = state.outbox.find(id);
    if (row == state.outbox.end()) continue;  // another relay moved it meanwhile
    const Committed& event = host_.checker.event(row->second);
    if (pack && (pack->serials.size() == kEventsPerPack || !event.readable)) close();
    if (!pack) {
      pack = std::make_shared<Database::Pack>();
      pack->stored.first_position = state.cursor.head + 1;
    }
    ++state.cursor.head;
    ++sequenced.events;
    pack->stored.last_position = state.cursor.head;
    pack->stored.last_event_id = id;
    pack->stored.payload += event.framed;
    pack->serials.push_back(row->second);
    host_.checker.Sequence(state.cursor.epoch, state.cursor.head, row->second);
    if (!event.readable) close();
    state.outbox.erase(row);
  }
  close();
  sequenced.head = state.cursor.head;
  return sequenced;
}

absl::StatusOr<storage::LogCursor> Sequencer::ReadCursor(int64_t session) {
  RETURN_IF_ERROR(CallOn(session));
  return database_.state().cursor;
}

absl::StatusOr<std::vector<storage::StoredPack>> Sequencer::ReadPacks(int64_t session,
                                                                      int64_t after,
                                                                      int64_t max_events) {
  RETURN_IF_ERROR(CallOn(session));
  std::vector<storage::StoredPack> packs;
  for (const auto& pack : database_.state().log) {
    if (pack->stored.last_position <= after) continue;
    if (pack->stored.first_position > after + max_events) break;
    packs.push_back(pack->stored);
  }
  return packs;
}

absl::StatusOr<int64_t> Sequencer::BeginEpoch(int64_t session, int64_t current, int64_t next) {
  RETURN_IF_ERROR(CallOn(session));
  if (database_.state().cursor.epoch == current) database_.BeginEpoch(next);
  return database_.state().cursor.epoch;
}

template <typename Answer>
absl::StatusOr<Answer> Log::Ask(const std::function<absl::StatusOr<Answer>()>& answer) {
  host_.Pause(process_, database_.latency());
  if (process_.dead || !database_.up()) return Gone();
  absl::StatusOr<Answer> given = answer();
  const int64_t generation = database_.generation();
  host_.Pause(process_, database_.latency());
  if (process_.dead || generation != database_.generation()) return Gone();
  return given;
}

fanout::LogBounds Log::Now() const {
  const storage::LogCursor& cursor = database_.state().cursor;
  return {.epoch = cursor.epoch, .floor = cursor.log_floor, .head = cursor.head};
}

absl::StatusOr<fanout::LogBounds> Log::Bounds() {
  return Ask<fanout::LogBounds>([this]() -> absl::StatusOr<fanout::LogBounds> { return Now(); });
}

absl::StatusOr<std::vector<std::shared_ptr<const events::Pack>>> Log::Read(int64_t after,
                                                                           int64_t up_to,
                                                                           int64_t max_events) {
  using Packs = std::vector<std::shared_ptr<const events::Pack>>;
  return Ask<Packs>([&]() -> absl::StatusOr<Packs> {
    const fanout::LogBounds bounds = Now();
    if (after + 1 < bounds.floor) return absl::OutOfRangeError("read the log: below its floor");
    Packs packs;
    for (const auto& pack : database_.state().log) {
      const storage::StoredPack& row = pack->stored;
      if (row.last_position <= after) continue;
      if (row.first_position > std::min(up_to, after + max_events)) break;
      packs.push_back(events::Pack::Read({.epoch = bounds.epoch,
                                          .first_position = row.first_position,
                                          .last_position = row.last_position,
                                          .last_event_id = row.last_event_id},
                                         row.payload));
    }
    return packs;
  });
}

absl::StatusOr<int64_t> Log::HighestOutboxId() {
  return Ask<int64_t>([this]() -> absl::StatusOr<int64_t> {
    const auto& outbox = database_.state().outbox;
    return outbox.empty() ? 0 : outbox.rbegin()->first;
  });
}

absl::StatusOr<std::optional<fanout::LogBounds>> Log::BoundsPast(int64_t outbox_id) {
  using Answer = std::optional<fanout::LogBounds>;
  return Ask<Answer>([&]() -> absl::StatusOr<Answer> {
    const auto& outbox = database_.state().outbox;
    if (!outbox.empty() && outbox.begin()->first <= outbox_id) return Answer();
    return Answer(Now());
  });
}

}  // namespace coder::sim
