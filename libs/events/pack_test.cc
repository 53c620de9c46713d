#include "libs/events/pack.h"

#include <catch2/catch.hpp>

#include "coder/events/v1/build_event.pb.h"

namespace coder::events {
namespace {

namespace v1 = ::coder::events::v1;

static_assert(v1::BuildEvent::kOrganizationIdFieldNumber == 1);
static_assert(v1::BuildEvent::kOwnerIdFieldNumber == 2);
static_assert(v1::BuildEvent::kTemplateIdFieldNumber == 3);
static_assert(v1::BuildEvent::kWorkspaceIdFieldNumber == 4);
static_assert(v1::BuildEvent::kWorkspaceVersionFieldNumber == 5);
static_assert(v1::BuildEvent::kTransitionFieldNumber == 6);
static_assert(v1::BuildEvent::kJobStatusFieldNumber == 7);
static_assert(v1::BuildEvent::kReasonFieldNumber == 8);
static_assert(v1::BuildEventPack::kEventsFieldNumber == 1);

v1::BuildEvent Event(const std::string& workspace, int64_t version) {
  v1::BuildEvent event;
  event.set_organization_id("org");
  event.set_owner_id("owner");
  event.set_template_id("template");
  event.set_workspace_id(workspace);
  event.set_workspace_version(version);
  event.set_transition(v1::BUILD_TRANSITION_STOP);
  event.set_job_status(v1::JOB_STATUS_FAILED);
  event.set_reason(v1::BUILD_REASON_AUTOSTOP);
  event.mutable_event_time()->set_seconds(1'700'000'000);
  event.mutable_event_time()->set_nanos(123'456'789);
  event.set_build_number(7);
  event.set_error("out of quota");
  return event;
}

std::string Payload(int count) {
  v1::BuildEventPack pack;
  for (int i = 1; i <= count; ++i) *pack.add_events() = Event("ws", i);
  return pack.SerializeAsString();
}

std::shared_ptr<const Pack> Read(int64_t first, int64_t last, std::string payload) {
  return Pack::Read({.epoch = 1, .first_position = first, .last_position = last},
                    std::move(payload));
}

TEST_CASE("a pack is split into events with the keys a watch selects by") {
  const auto pack = Read(10, 12, Payload(3));
  REQUIRE(pack->events().size() == 3);
  const EventSlice& second = pack->at(11);
  CHECK(second.readable);
  CHECK(second.keys.organization_id == "org");
  CHECK(second.keys.owner_id == "owner");
  CHECK(second.keys.template_id == "template");
  CHECK(second.keys.workspace_id == "ws");
  CHECK(second.keys.workspace_version == 2);
  CHECK(second.keys.transition == v1::BUILD_TRANSITION_STOP);
  CHECK(second.keys.job_status == v1::JOB_STATUS_FAILED);
  CHECK(second.keys.reason == v1::BUILD_REASON_AUTOSTOP);
  CHECK(second.time_us == 1'700'000'000'123'456);
  CHECK(EventId(second) == "ws/2");
}

TEST_CASE("slices put one after the other are again a pack") {
  const auto pack = Read(1, 3, Payload(3));
  const std::string bytes = std::string(pack->at(3).framed) + std::string(pack->at(1).framed);
  v1::BuildEventPack parsed;
  REQUIRE(parsed.ParseFromString(bytes));
  REQUIRE(parsed.events_size() == 2);
  CHECK(parsed.events(0).workspace_version() == 3);
  CHECK(parsed.events(1).workspace_version() == 1);
  CHECK(parsed.events(1).error() == "out of quota");
}

TEST_CASE("framing an event by hand gives the bytes protobuf gives") {
  std::string payload;
  AppendFramed(Event("ws", 1).SerializeAsString(), payload);
  AppendFramed(Event("ws", 2).SerializeAsString(), payload);
  CHECK(payload == Payload(2));
}

TEST_CASE("an event that cannot be read keeps its position and harms no other") {
  std::string payload;
  AppendFramed(Event("ws", 1).SerializeAsString(), payload);
  AppendFramed("\xff\xff\xff", payload);
  AppendFramed(Event("ws", 3).SerializeAsString(), payload);
  const auto pack = Read(1, 3, payload);
  CHECK(pack->at(1).readable);
  CHECK_FALSE(pack->at(2).readable);
  CHECK(pack->at(3).readable);
  CHECK(EventId(pack->at(2)).rfind("unreadable/", 0) == 0);
}

TEST_CASE("an event without identity is unreadable") {
  std::string payload;
  AppendFramed(Event("", 1).SerializeAsString(), payload);
  AppendFramed(Event("ws", 0).SerializeAsString(), payload);
  const auto pack = Read(1, 2, payload);
  CHECK_FALSE(pack->at(1).readable);
  CHECK_FALSE(pack->at(2).readable);
}

TEST_CASE("cut or flipped bytes never cost a position") {
  const std::string whole = Payload(3);
  for (size_t size = 0; size < whole.size(); ++size) {
    const auto pack = Read(1, 3, whole.substr(0, size));
    REQUIRE(pack->events().size() == 3);
    CHECK_FALSE(pack->at(3).readable);
  }
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x81);
    CHECK(Read(1, 3, flipped)->events().size() == 3);
  }
}

TEST_CASE("bytes beyond the last position are not events") {
  CHECK(Read(1, 2, Payload(3))->events().size() == 2);
}

}  // namespace
}  // namespace coder::events
