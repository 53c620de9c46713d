#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/time/time.h"
#include "libs/events/watch_filter.h"
#include "libs/fanout/watcher.h"

namespace coder::sim {

/// One event as its writer committed it.
struct Committed {
  std::string framed;
  bool readable = true;
  bool committed = false;
  std::string organization;
  std::string owner;
  std::string workspace;
  int64_t version = 0;
};

/// When a watch looked at the positions up to one.
struct Examined {
  int64_t up_to = 0;
  absl::Duration at;
};

/// What one client asked for and was sent, across its resumes; begun anew by whoever does not
/// resume from a token.
struct Chain {
  std::string client;
  std::string caller;
  events::WatchFilter filter;
  int64_t epoch = 0;
  /// The last position examined and received.
  int64_t cursor = 0;
  std::unordered_map<std::string, int64_t> versions;
  int64_t received = 0;
};

/// Knows what was committed, from the writers, and in which order the log has it, and holds every
/// message a client receives against the promises of the stream, one validator for each.
class Checker {
 public:
  /// Rights older than this may not be relied on.
  explicit Checker(absl::Duration max_rights_age) : max_rights_age_(max_rights_age) {}

  // What happens.
  int64_t Write(Committed event);
  void SetBytes(int64_t serial, std::string framed) {
    events_[static_cast<size_t>(serial)].framed = std::move(framed);
  }
  void Commit(int64_t serial) { events_[static_cast<size_t>(serial)].committed = true; }
  const Committed& event(int64_t serial) const { return events_[static_cast<size_t>(serial)]; }
  void Sequence(int64_t epoch, int64_t position, int64_t serial);
  /// `next` begins with the first `head` positions of `epoch`.
  void BeginEpoch(int64_t epoch, int64_t next, int64_t head);
  /// The database went back in time, and a new epoch is to follow.
  void SetBack() { set_back_ = true; }
  void Drop(int64_t floor) { highest_floor_ = std::max(highest_floor_, floor); }
  void ChangeRights(const std::string& caller, absl::Duration now, events::WatchRights rights,
                    bool admitted);

  // What clients see.
  /// `examined`: in order, of everything since the last message.
  void Receive(Chain& chain, const fanout::Step& step, const std::vector<Examined>& examined);
  /// A stream, or the attempt to open one with the chain's token, ended.
  void End(const Chain& chain, const fanout::Ending& ending, absl::Duration now);

  void Fail(const std::string& validator, const std::string& what);
  /// "validator: what", in order; at most a few.
  const std::vector<std::string>& violations() const { return violations_; }

 private:
  struct RightsSince {
    absl::Duration time;
    events::WatchRights rights;
    bool admitted = true;
  };
  // Whether the rights in the last moments before `now` admit the event always, and ever.
  struct Admission {
    bool always = true;
    bool ever = false;
  };

  Admission AdmissionOf(const Chain& chain, const Committed& event, absl::Duration now) const;
  std::map<int64_t, int64_t> EventsOf(Chain& chain, const fanout::Step& step);
  void CheckEvent(Chain& chain, int64_t position, const events::EventSlice& slice);
  void CheckRange(Chain& chain, const fanout::Step& step, const std::map<int64_t, int64_t>& sent,
                  const std::vector<Examined>& examined);

  const absl::Duration max_rights_age_;
  std::deque<Committed> events_;
  // By epoch, the serial at each position.
  std::map<int64_t, std::vector<int64_t>> history_{{1, {}}};
  std::map<std::string, std::vector<RightsSince>> rights_;
  int64_t highest_floor_ = 1;
  bool set_back_ = false;
  std::vector<std::string> violations_;
};

}  // namespace coder::sim
