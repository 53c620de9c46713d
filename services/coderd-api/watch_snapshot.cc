#include "services/coderd-api/watch_snapshot.h"

#include <algorithm>

#include "libs/events/pack.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"

namespace coder::api {
namespace {

constexpr int kWorkspacesPerPage = 200;
constexpr int64_t kEventsPerRead = 500;

absl::Status EpochChanged() {
  return status::WithReason(
      absl::FailedPreconditionError(
          "watch builds: the log was set back during the snapshot; take a new one"),
      "EPOCH_CHANGED");
}

events::EventKeys KeysOf(const events::v1::BuildEvent& event) {
  return {.organization_id = event.organization_id(),
          .owner_id = event.owner_id(),
          .template_id = event.template_id(),
          .workspace_id = event.workspace_id(),
          .workspace_version = event.workspace_version(),
          .transition = event.transition(),
          .job_status = event.job_status(),
          .reason = event.reason()};
}

}  // namespace

absl::StatusOr<WatchSnapshot::Next> WatchSnapshot::Step(const events::WatchRights& rights) {
  switch (phase_) {
    case Phase::kBegin: {
      ASSIGN_OR_RETURN(const fanout::LogBounds bounds, log_.Bounds());
      epoch_ = bounds.epoch;
      sent_up_to_ = bounds.head;
      phase_ = Phase::kPages;
      return Page(rights);
    }
    case Phase::kPages:
      return Page(rights);
    case Phase::kMark:
      return Mark();
    case Phase::kWait:
      return Wait();
    case Phase::kTail:
      return Tail(rights);
  }
  return absl::InternalError("take a snapshot: unknown phase");
}

absl::StatusOr<WatchSnapshot::Next> WatchSnapshot::Page(const events::WatchRights& rights) {
  ASSIGN_OR_RETURN(const auto page,
                   states_.Page(last_workspace_, kWorkspacesPerPage, filter_, rights));
  Next next;
  for (const storage::WorkspaceState& state : page) {
    last_workspace_ = state.workspace_id;
    versions_[state.workspace_id] = state.version;
    events::v1::BuildEvent event;
    if (!event.ParseFromString(state.event) || !filter_.Admits(KeysOf(event))) continue;
    *next.message.add_snapshot_items() = std::move(event);
  }
  // A step of its own follows: what fails after a page would lose the page.
  if (page.size() < kWorkspacesPerPage) phase_ = Phase::kMark;
  return next;
}

absl::StatusOr<WatchSnapshot::Next> WatchSnapshot::Mark() {
  // Everything a page showed was committed by now, so its event is in the outbox or in the log.
  ASSIGN_OR_RETURN(outbox_id_, log_.HighestOutboxId());
  phase_ = Phase::kWait;
  return Next{};
}

absl::StatusOr<WatchSnapshot::Next> WatchSnapshot::Wait() {
  ASSIGN_OR_RETURN(const auto bounds, log_.BoundsPast(outbox_id_));
  if (!bounds) return Next{.again = true};
  if (bounds->epoch != epoch_) return EpochChanged();
  end_ = bounds->head;
  phase_ = Phase::kTail;
  return Next{};
}

absl::StatusOr<WatchSnapshot::Next> WatchSnapshot::Tail(const events::WatchRights& rights) {
  Next next;
  if (sent_up_to_ >= end_) {
    versions_.clear();
    next.complete = true;
    next.epoch = epoch_;
    next.position = end_;
    return next;
  }
  ASSIGN_OR_RETURN(const auto packs, log_.Read(sent_up_to_, end_, kEventsPerRead));
  if (packs.empty()) return Next{.again = true};
  for (const auto& pack : packs) {
    if (pack->epoch() != epoch_) return EpochChanged();
    const int64_t from = std::max(sent_up_to_ + 1, pack->first_position());
    const int64_t to = std::min(end_, pack->last_position());
    for (int64_t position = from; position <= to; ++position) {
      const events::EventSlice& slice = pack->at(position);
      if (!slice.readable) {
        v1::WatchedBuildEvent& damaged = *next.message.add_events();
        damaged.set_position(position);
        damaged.mutable_unreadable();
        continue;
      }
      const auto sent = versions_.find(
          absl::string_view(slice.keys.workspace_id.data(), slice.keys.workspace_id.size()));
      if (sent != versions_.end() && slice.keys.workspace_version <= sent->second) continue;
      if (!filter_.Admits(slice.keys) || !rights.Admits(slice.keys)) continue;
      events::v1::BuildEventPack one;
      if (!one.ParseFromArray(slice.framed.data(), static_cast<int>(slice.framed.size()))) continue;
      v1::WatchedBuildEvent& event = *next.message.add_events();
      event.set_position(position);
      event.mutable_event()->Swap(one.mutable_events(0));
    }
    sent_up_to_ = to;
  }
  return next;
}

}  // namespace coder::api
