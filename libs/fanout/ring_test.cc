#include "libs/fanout/ring.h"

#include <catch2/catch.hpp>

#include "libs/fanout/fake_log.h"

namespace coder::fanout {
namespace {

using Admission = Ring::Admission;

Ring Fresh(int64_t events = 1000) { return Ring({.events = events, .bytes = 1 << 20}); }

TEST_CASE("a ring admits exactly what follows its head") {
  Ring ring = Fresh();
  ring.Reset(1, 0);
  CHECK(ring.Admit(MakePack(1, 1, 5)).admission == Admission::kAdmitted);
  CHECK(ring.bounds().head == 5);

  SECTION("what it has is dropped and counted") {
    const auto outcome = ring.Admit(MakePack(1, 2, 3));
    CHECK(outcome.admission == Admission::kDuplicate);
    CHECK(outcome.dropped == 3);
  }
  SECTION("of an overlapping pack only the new part is taken") {
    const auto outcome = ring.Admit(MakePack(1, 4, 5));
    CHECK(outcome.admission == Admission::kAdmitted);
    CHECK(outcome.dropped == 2);
    std::vector<Ring::Span> spans;
    ring.Read(3, 10, spans);
    REQUIRE(spans.size() == 2);
    CHECK(spans[0].from == 4);
    CHECK(spans[1].from == 6);
  }
  SECTION("a hole is reported, not jumped") {
    const auto outcome = ring.Admit(MakePack(1, 8, 1));
    CHECK(outcome.admission == Admission::kGap);
    CHECK(outcome.missing_after == 5);
    CHECK(outcome.missing_up_to == 7);
    CHECK(ring.bounds().head == 5);
  }
  SECTION("another event at a known position is a conflict") {
    const auto outcome = ring.Admit(MakePack(1, 5, 2, "owner-"));
    CHECK(outcome.admission == Admission::kAdmitted);
    std::string payload;
    events::AppendFramed(EventBytes("o", "o", "another", 9), payload);
    const auto conflict = ring.Admit(
        events::Pack::Read({.epoch = 1, .first_position = 6, .last_position = 6}, payload));
    CHECK(conflict.admission == Admission::kConflict);
    CHECK(conflict.missing_up_to == 6);
  }
  SECTION("other epochs are told apart") {
    ring.Reset(2, 5);
    CHECK(ring.Admit(MakePack(1, 6, 1)).admission == Admission::kOldEpoch);
    CHECK(ring.Admit(MakePack(3, 6, 1)).admission == Admission::kNewEpoch);
  }
}

TEST_CASE("a ring forgets its oldest packs beyond its length and says so") {
  Ring ring = Fresh(10);
  ring.Reset(1, 0);
  for (int i = 0; i < 5; ++i) ring.Admit(MakePack(1, 1 + 4 * i, 4));
  CHECK(ring.bounds().floor == 13);
  CHECK(ring.bounds().head == 20);
  std::vector<Ring::Span> spans;
  CHECK_FALSE(ring.Read(11, 10, spans).has_value());
  CHECK(ring.Read(12, 10, spans).has_value());
  CHECK(spans.size() == 2);
  CHECK_FALSE(ring.EventHashAt(12).has_value());
  CHECK(ring.EventHashAt(13).has_value());
}

}  // namespace
}  // namespace coder::fanout
