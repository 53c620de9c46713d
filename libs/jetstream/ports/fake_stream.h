#pragma once

#include <string>
#include <utility>
#include <vector>

#include "libs/jetstream/ports/publisher.h"
#include "libs/jetstream/ports/stream_admin.h"

namespace coder::jetstream {

// A stream in memory that enforces the expected sequence as a server does. One thread; its state is
// open to the test.
class FakeStream : public StreamAdmin, public Publisher {
 public:
  absl::StatusOr<bool> Ensure() override {
    if (!outage.ok()) return outage;
    return !std::exchange(exists, true);
  }
  absl::StatusOr<StreamState> State() override {
    if (absl::Status missing = Missing(); !missing.ok()) return missing;
    const uint64_t first = stored.empty() ? last_sequence + 1 : stored.front().sequence;
    return StreamState{
        .first_sequence = first, .last_sequence = last_sequence, .messages = stored.size()};
  }
  absl::StatusOr<StreamMessage> ReadAt(uint64_t sequence) override {
    if (absl::Status missing = Missing(); !missing.ok()) return missing;
    for (const StreamMessage& message : stored) {
      if (message.sequence == sequence) return message;
    }
    return absl::NotFoundError("read message: there is none");
  }
  absl::StatusOr<StreamMessage> ReadTail() override { return ReadAt(last_sequence); }
  absl::Status Purge(uint64_t up_to) override {
    if (absl::Status missing = Missing(); !missing.ok()) return missing;
    std::erase_if(stored, [up_to](const auto& message) { return message.sequence <= up_to; });
    return absl::OkStatus();
  }

  void Begin(uint64_t expected) override {
    expected_ = expected;
    progress_ = {.confirmed_sequence = expected};
  }
  absl::Status Publish(const PackHeaders& headers, absl::string_view payload) override {
    if (!progress_.refusal.ok()) return progress_.refusal;
    progress_.refusal = std::exchange(next_refusal, absl::OkStatus());
    if (progress_.refusal.ok()) progress_.refusal = Missing();
    if (progress_.refusal.ok() && expected_ != last_sequence) {
      progress_.refusal = absl::AbortedError("publish: wrong last sequence");
    }
    if (!progress_.refusal.ok()) return progress_.refusal;
    last_sequence = ++expected_;
    stored.push_back({.sequence = last_sequence,
                      .has_headers = true,
                      .headers = headers,
                      .payload = std::string(payload)});
    progress_.confirmed_position = headers.last_position;
    progress_.confirmed_sequence = last_sequence;
    return absl::OkStatus();
  }
  PublishProgress Await(absl::Duration) override { return progress_; }
  PublishProgress progress() const override { return progress_; }

  // Takes the last messages away, as a server does that loses its tail.
  void LoseTail(size_t messages) {
    while (messages-- > 0 && !stored.empty()) stored.pop_back();
    last_sequence = stored.empty() ? 0 : stored.back().sequence;
  }
  // Removes the stream, its messages and its sequences.
  void Delete() {
    exists = false;
    stored.clear();
    last_sequence = 0;
  }

  // What the stream holds, and the sequence it has come to.
  std::vector<StreamMessage> stored;
  uint64_t last_sequence = 0;
  bool exists = false;
  // Every call fails with this, unless it is OK.
  absl::Status outage;
  // The next message is refused with this, unless it is OK.
  absl::Status next_refusal;

 private:
  absl::Status Missing() const {
    if (!outage.ok()) return outage;
    return exists ? absl::OkStatus() : absl::NotFoundError("stream: there is none");
  }

  uint64_t expected_ = 0;
  PublishProgress progress_;
};

}  // namespace coder::jetstream
