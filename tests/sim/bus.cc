#include "tests/sim/bus.h"

#include <algorithm>
#include <utility>

#include "libs/status/status_macros.h"

namespace coder::sim {
namespace {

constexpr absl::Duration kLatency = absl::Milliseconds(40);

}  // namespace

absl::StatusOr<uint64_t> Bus::Store(uint64_t expected, const jetstream::PackHeaders& headers,
                                    const std::string& payload) {
  if (!exists) return absl::NotFoundError("publish: there is no stream");
  if (host_.now() < full_until) return absl::ResourceExhaustedError("publish: no space left");
  if (fence && expected != last_sequence) {
    return absl::AbortedError("publish: wrong last sequence");
  }
  const bool behind = !stored.empty() && stored.back().headers.epoch == headers.epoch &&
                      stored.back().headers.last_position >= headers.first_position;
  doubled += behind ? 1 : 0;
  stored.push_back(
      {.sequence = ++last_sequence, .has_headers = true, .headers = headers, .payload = payload});
  return last_sequence;
}

void Bus::LoseTail(int64_t messages) {
  while (messages-- > 0 && !stored.empty()) {
    stored.pop_back();
    --last_sequence;
  }
}

void Bus::Delete() {
  exists = false;
  stored.clear();
  last_sequence = 0;
}

void Bus::Purge(uint64_t last) {
  while (!stored.empty() && stored.front().sequence <= last) stored.pop_front();
  last_sequence = std::max(last_sequence, last);
}

void Bus::AddPoison() {
  if (exists) stored.push_back({.sequence = ++last_sequence, .payload = "poison"});
}

const jetstream::StreamMessage* Bus::From(uint64_t sequence) const {
  const auto found =
      std::partition_point(stored.begin(), stored.end(),
                           [sequence](const auto& message) { return message.sequence < sequence; });
  return found == stored.end() ? nullptr : &*found;
}

absl::Status StreamOwner::Call() {
  Arrive();
  host_.Pause(process_, kLatency);
  if (process_.dead || !link_.up(bus_, host_.now())) {
    return absl::UnavailableError("ask the stream: not connected");
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> StreamOwner::Ensure() {
  RETURN_IF_ERROR(Call());
  const bool good = bus_.exists && bus_.well_configured;
  bus_.exists = true;
  bus_.well_configured = true;
  RETURN_IF_ERROR(Call());
  return !good;
}

absl::StatusOr<jetstream::StreamState> StreamOwner::State() {
  RETURN_IF_ERROR(Call());
  if (!bus_.exists) return absl::NotFoundError("ask the stream: there is none");
  return jetstream::StreamState{
      .first_sequence = bus_.stored.empty() ? bus_.last_sequence + 1 : bus_.stored[0].sequence,
      .last_sequence = bus_.last_sequence,
      .messages = bus_.stored.size()};
}

absl::StatusOr<jetstream::StreamMessage> StreamOwner::ReadAt(uint64_t sequence) {
  RETURN_IF_ERROR(Call());
  const jetstream::StreamMessage* found = bus_.From(sequence);
  if (!found || found->sequence != sequence) {
    return absl::NotFoundError("read the stream: there is no such message");
  }
  jetstream::StreamMessage message = *found;
  message.has_headers = message.has_headers && bus_.tells_history;
  return message;
}

absl::Status StreamOwner::Purge(uint64_t last) {
  RETURN_IF_ERROR(Call());
  if (!bus_.exists) return absl::NotFoundError("purge: there is no stream");
  bus_.Purge(last);
  return Call();
}

void StreamOwner::Begin(uint64_t last_sequence) {
  ++run_;
  expected_ = last_sequence;
  progress_ = {.confirmed_sequence = last_sequence};
}

absl::Status StreamOwner::Publish(const jetstream::PackHeaders& headers,
                                  absl::string_view payload) {
  if (absl::Status call = Call(); !call.ok()) {
    if (progress_.refusal.ok()) progress_.refusal = call;
  }
  if (!progress_.refusal.ok()) return progress_.refusal;
  under_way_.push_back(
      {.run = run_, .expected = expected_++, .headers = headers, .payload = std::string(payload)});
  ++progress_.in_flight;
  return absl::OkStatus();
}

void StreamOwner::Arrive() {
  for (int64_t n = host_.random.Below(4); n > 0 && !under_way_.empty(); --n) {
    const Sent sent = std::move(under_way_.front());
    under_way_.pop_front();
    if (!bus_.up()) continue;
    const auto stored = bus_.Store(sent.expected, sent.headers, sent.payload);
    const bool heard = link_.up(bus_, host_.now()) && !process_.dead;
    if (sent.run != run_) continue;
    --progress_.in_flight;
    if (!heard) {
      progress_.refusal = absl::UnavailableError("publish: the connection was lost");
    } else if (!stored.ok()) {
      if (progress_.refusal.ok()) progress_.refusal = stored.status();
    } else if (progress_.refusal.ok()) {
      progress_.confirmed_position = sent.headers.last_position;
      progress_.confirmed_sequence = *stored;
    }
  }
}

jetstream::PublishProgress StreamOwner::Await(absl::Duration limit) {
  const absl::Duration end = host_.now() + limit;
  while (!process_.dead && !host_.fibers.finishing() && progress_.refusal.ok() &&
         progress_.in_flight > 0 && host_.now() < end) {
    if (!link_.up(bus_, host_.now())) {
      progress_.refusal = absl::UnavailableError("publish: not connected");
    }
    Arrive();
    host_.fibers.Sleep(process_, host_.random.Upto(kLatency));
  }
  return progress_;
}

}  // namespace coder::sim
