#include "services/coderd-api/debug_pages.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

namespace coder::api {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kSlowest = 10;

int64_t Behind(const WatchView& watch, int64_t head) {
  if (!watch.position) return std::numeric_limits<int64_t>::max();
  return std::max<int64_t>(0, head - *watch.position);
}

}  // namespace

void LatestJobCounts::Set(std::vector<storage::JobCount> counts, absl::Duration now) {
  const std::lock_guard lock(mutex_);
  latest_ = {std::move(counts), now};
}

std::optional<LatestJobCounts::Counted> LatestJobCounts::Get() const {
  const std::lock_guard lock(mutex_);
  return latest_;
}

Json DatabasePage(const pg::PoolStats& stats) {
  return {{"sessions", {{"in_use", stats.in_use}, {"idle", stats.idle}}},
          {"waiting_callers", stats.waiting},
          {"opened", stats.opened},
          {"connect_failures", stats.connect_failures},
          {"discarded", stats.discarded},
          {"acquired", stats.acquired},
          {"acquire_seconds", absl::ToDoubleSeconds(stats.acquire_time)}};
}

Json EventsPage(const fanout::Ring& ring, const fanout::EventPump& pump) {
  const fanout::Ring::Bounds bounds = ring.bounds();
  const fanout::EventPump::Counters counters = pump.counters();
  return {{"ring",
           {{"epoch", bounds.epoch},
            {"floor", bounds.floor},
            {"head", bounds.head},
            {"events", bounds.head - bounds.floor + 1},
            {"bytes", ring.bytes()}}},
          {"primed", pump.primed()},
          {"follows_stream", pump.follows_stream()},
          {"stream_packs", counters.stream_packs},
          {"log_packs", counters.log_packs},
          {"repeated_events", counters.dropped_events},
          {"gaps", counters.gaps},
          {"conflicts", counters.conflicts},
          {"log_failures", counters.log_failures}};
}

Json WatchesPage(std::vector<WatchView> watches, const WatchSessions::Limits& limits,
                 int64_t head) {
  Json by_state = Json::object();
  for (const WatchState state : {WatchState::kSnapshot, WatchState::kReplaying,
                                 WatchState::kFollowing, WatchState::kStalled}) {
    by_state[WatchStateName(state)] =
        std::count_if(watches.begin(), watches.end(),
                      [state](const WatchView& watch) { return watch.state == state; });
  }
  const size_t shown = std::min(kSlowest, watches.size());
  std::partial_sort(
      watches.begin(), watches.begin() + static_cast<std::ptrdiff_t>(shown), watches.end(),
      [head](const WatchView& a, const WatchView& b) { return Behind(a, head) > Behind(b, head); });
  Json slowest = Json::array();
  for (size_t i = 0; i < shown; ++i) {
    Json watch = {{"caller", watches[i].caller}, {"state", WatchStateName(watches[i].state)}};
    if (watches[i].position) {
      watch["position"] = *watches[i].position;
      watch["behind"] = Behind(watches[i], head);
    }
    watch["age_seconds"] = absl::ToDoubleSeconds(watches[i].age);
    slowest.push_back(std::move(watch));
  }
  return {{"head", head},
          {"watches", watches.size()},
          {"most", limits.watches},
          {"by_state", by_state},
          {"slowest", slowest}};
}

Json JobsPage(const std::optional<LatestJobCounts::Counted>& counted, absl::Duration now,
              const std::vector<WaitingSlots>& waiting, size_t streams) {
  Json page = {{"unfinished", Json::array()}};
  if (counted) {
    page["counted_seconds_ago"] = absl::ToDoubleSeconds(now - counted->at);
    for (const storage::JobCount& count : counted->jobs) {
      page["unfinished"].push_back({{"provisioner", count.provisioner},
                                    {"status", std::string(lifecycle::ToString(count.status))},
                                    {"jobs", count.jobs}});
    }
  }
  page["acquire_streams"] = streams;
  page["waiting"] = Json::array();
  for (const WaitingSlots& slots : waiting) {
    page["waiting"].push_back({{"organization_id", slots.domain.organization.ToString()},
                               {"provisioners", slots.domain.provisioners},
                               {"tags", slots.domain.tags},
                               {"daemons", slots.daemons},
                               {"slots", slots.slots}});
  }
  return page;
}

}  // namespace coder::api
