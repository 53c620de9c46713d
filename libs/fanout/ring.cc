#include "libs/fanout/ring.h"

#include <algorithm>
#include <utility>

#include "libs/events/resume_token.h"
#include "libs/failpoint/failpoint.h"

namespace coder::fanout {

void Ring::Reset(int64_t epoch, int64_t head) {
  std::lock_guard lock(mu_);
  spans_.clear();
  bytes_ = 0;
  epoch_ = epoch;
  head_ = head;
}

Ring::Outcome Ring::Admit(std::shared_ptr<const events::Pack> pack) {
  std::lock_guard lock(mu_);
  if (pack->epoch() < epoch_) return {.admission = Admission::kOldEpoch};
  if (pack->epoch() > epoch_) return {.admission = Admission::kNewEpoch};
  if (pack->first_position() > head_ + 1) {
    return {.admission = Admission::kGap,
            .missing_after = head_,
            .missing_up_to = pack->first_position() - 1};
  }
  if (const auto position = ConflictWith(*pack)) {
    return {.admission = Admission::kConflict, .missing_up_to = *position};
  }
  const int64_t dropped = std::min(head_, pack->last_position()) - pack->first_position() + 1;
  const bool is_old = pack->last_position() <= head_;
  if (is_old && !failpoint::IsOn("off.drop_old")) {
    return {.admission = Admission::kDuplicate, .dropped = dropped};
  }
  bytes_ += pack->payload().size();
  const int64_t from = is_old ? pack->first_position() : head_ + 1;
  head_ = pack->last_position();
  spans_.push_back({.pack = std::move(pack), .from = from});
  Trim();
  return {.admission = Admission::kAdmitted, .dropped = dropped};
}

Ring::Bounds Ring::bounds() const {
  std::lock_guard lock(mu_);
  return {.epoch = epoch_, .floor = Floor(), .head = head_};
}

size_t Ring::bytes() const {
  std::lock_guard lock(mu_);
  return bytes_;
}

std::optional<Ring::Bounds> Ring::Read(int64_t after, size_t max_packs,
                                       std::vector<Span>& spans) const {
  std::lock_guard lock(mu_);
  const Bounds bounds = {.epoch = epoch_, .floor = Floor(), .head = head_};
  if (after >= head_) return bounds;
  if (after + 1 < bounds.floor) return std::nullopt;
  for (auto it = Find(after + 1); it != spans_.end() && max_packs > 0; ++it, --max_packs) {
    spans.push_back({.pack = it->pack, .from = std::max(it->from, after + 1)});
  }
  return bounds;
}

std::optional<uint32_t> Ring::EventHashAt(int64_t position) const {
  std::lock_guard lock(mu_);
  if (position < Floor() || position > head_) return std::nullopt;
  return events::EventHash(Find(position)->pack->at(position));
}

std::deque<Ring::Span>::const_iterator Ring::Find(int64_t position) const {
  return std::partition_point(spans_.begin(), spans_.end(), [position](const Span& span) {
    return span.pack->last_position() < position;
  });
}

std::optional<int64_t> Ring::ConflictWith(const events::Pack& pack) const {
  const int64_t from = std::max(pack.first_position(), Floor());
  const int64_t to = std::min(pack.last_position(), head_);
  if (from > to) return std::nullopt;
  auto it = Find(from);
  for (int64_t position = from; position <= to; ++position) {
    if (position > it->pack->last_position()) ++it;
    if (it->pack.get() == &pack) continue;
    if (events::EventId(it->pack->at(position)) != events::EventId(pack.at(position))) {
      return position;
    }
  }
  return std::nullopt;
}

int64_t Ring::Floor() const { return spans_.empty() ? head_ + 1 : spans_.front().from; }

void Ring::Trim() {
  while (spans_.size() > 1 && (head_ - Floor() + 1 > limits_.events || bytes_ > limits_.bytes)) {
    bytes_ -= spans_.front().pack->payload().size();
    spans_.pop_front();
  }
}

}  // namespace coder::fanout
