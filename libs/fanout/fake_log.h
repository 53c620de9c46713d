#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/fanout/log_reader.h"

namespace coder::fanout {

// A log in memory whose events are moved on by hand. Thread-safe.
class FakeLog : public LogReader {
 public:
  // Appends `events` events as one pack and returns it.
  std::shared_ptr<const events::Pack> Append(int64_t events);
  // Drops everything below `floor` that fills whole packs.
  void DropBelow(int64_t floor);
  // Begins a new epoch that keeps nothing above `head`.
  void SetBack(int64_t head);
  // While unavailable, every call fails with UNAVAILABLE.
  void SetAvailable(bool available);
  // How many calls were made.
  int64_t calls() const;

  absl::StatusOr<LogBounds> Bounds() override;
  absl::StatusOr<std::vector<std::shared_ptr<const events::Pack>>> Read(
      int64_t after, int64_t up_to, int64_t max_events) override;

 private:
  LogBounds BoundsLocked() const;

  mutable std::mutex mu_;
  std::vector<std::shared_ptr<const events::Pack>> packs_;
  bool available_ = true;
  int64_t epoch_ = 1;
  int64_t head_ = 0;
  int64_t calls_ = 0;
};

// A serialised BuildEvent with only what a watch selects by.
std::string EventBytes(const std::string& organization, const std::string& owner,
                       const std::string& workspace, int64_t version);

// A pack of epoch `epoch` at `first`; the event at position p is version p of workspace "ws-<p %
// 3>" of organization "org-<p % 2>" and owner "owner-<p % 3>".
std::shared_ptr<const events::Pack> MakePack(int64_t epoch, int64_t first, int64_t count,
                                             const std::string& owner_prefix = "owner-");

}  // namespace coder::fanout
