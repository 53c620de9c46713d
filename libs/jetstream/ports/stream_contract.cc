#include "libs/jetstream/ports/stream_contract.h"

#include <catch2/catch.hpp>
#include <string>

namespace coder::jetstream {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);

using Code = absl::StatusCode;

PackHeaders Headers(int64_t first) {
  return {.epoch = 2, .first_position = first, .last_position = first + 1, .last_event_id = first};
}

StreamState StateOf(StreamAdmin& admin) {
  const auto state = admin.State();
  INFO(state.status());
  REQUIRE(state.ok());
  return *state;
}

PublishProgress PublishOne(Publisher& publisher, uint64_t expected, int64_t position) {
  publisher.Begin(expected);
  // A refusal may come with the answer or at once; Await has it in both cases.
  (void)publisher.Publish(Headers(position), "payload");
  return publisher.Await(kPatience);
}

void CheckAbsent(StreamAdmin& admin) {
  CHECK(admin.State().status().code() == Code::kNotFound);
  CHECK(admin.ReadTail().status().code() == Code::kNotFound);
  CHECK(admin.Purge(1).code() == Code::kNotFound);
}

void CheckMadeOnce(StreamAdmin& admin) {
  const auto made = admin.Ensure();
  INFO(made.status());
  REQUIRE(made.ok());
  CHECK(*made);
  CHECK_FALSE(admin.Ensure().value());
  CHECK(StateOf(admin).empty());
  CHECK(StateOf(admin).first_sequence == StateOf(admin).last_sequence + 1);
  CHECK(admin.ReadTail().status().code() == Code::kNotFound);
}

void CheckPublishing(StreamAdmin& admin, Publisher& publisher) {
  publisher.Begin(0);
  for (int64_t position = 1; position <= 5; position += 2) {
    REQUIRE(publisher.Publish(Headers(position), "at " + std::to_string(position)).ok());
  }
  const PublishProgress progress = publisher.Await(kPatience);
  CHECK(progress.refusal.ok());
  CHECK(progress.in_flight == 0);
  CHECK(progress.confirmed_position == 6);
  CHECK(progress.confirmed_sequence == 3);
  CHECK(StateOf(admin).messages == 3);

  const auto second = admin.ReadAt(2);
  REQUIRE(second.ok());
  CHECK(second->has_headers);
  CHECK(second->headers == Headers(3));
  CHECK(second->payload == "at 3");
  CHECK(admin.ReadTail()->sequence == 3);
  CHECK(admin.ReadAt(9).status().code() == Code::kNotFound);
}

void CheckFence(StreamAdmin& admin, Publisher& publisher) {
  for (const uint64_t wrong : {uint64_t{0}, uint64_t{2}, uint64_t{4}}) {
    const PublishProgress refused = PublishOne(publisher, wrong, 7);
    CHECK(refused.refusal.code() == Code::kAborted);
    CHECK(publisher.Publish(Headers(9), "behind it").code() == Code::kAborted);
  }
  CHECK(StateOf(admin).messages == 3);
  CHECK(PublishOne(publisher, 3, 7).refusal.ok());
  CHECK(StateOf(admin).last_sequence == 4);
}

void CheckPurge(StreamAdmin& admin, Publisher& publisher) {
  REQUIRE(admin.Purge(3).ok());
  CHECK(StateOf(admin).first_sequence == 4);
  CHECK(StateOf(admin).messages == 1);
  REQUIRE(admin.Purge(4).ok());
  CHECK(StateOf(admin).empty());
  CHECK(StateOf(admin).first_sequence == 5);
  CHECK(PublishOne(publisher, 4, 9).refusal.ok());
  CHECK(admin.ReadTail()->sequence == 5);
}

}  // namespace

void CheckStreamContract(StreamAdmin& admin, Publisher& publisher) {
  CheckAbsent(admin);
  CheckMadeOnce(admin);
  CheckPublishing(admin, publisher);
  CheckFence(admin, publisher);
  CheckPurge(admin, publisher);
}

}  // namespace coder::jetstream
