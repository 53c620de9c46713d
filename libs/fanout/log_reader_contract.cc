#include "libs/fanout/log_reader_contract.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace coder::fanout {
namespace {

using Packs = std::vector<std::shared_ptr<const events::Pack>>;

LogBounds BoundsOf(LogReader& reader) {
  const auto bounds = reader.Bounds();
  INFO(bounds.status());
  REQUIRE(bounds.ok());
  return *bounds;
}

// The packs, which have to follow `after` without a hole and carry the log's epoch.
Packs ReadFrom(LogReader& reader, int64_t after, int64_t up_to, int64_t max_events) {
  auto packs = reader.Read(after, up_to, max_events);
  INFO(packs.status());
  REQUIRE(packs.ok());
  const int64_t epoch = BoundsOf(reader).epoch;
  int64_t next = after + 1;
  for (const auto& pack : *packs) {
    CHECK(pack->epoch() == epoch);
    CHECK(pack->first_position() <= next);
    REQUIRE(pack->last_position() >= next);
    next = pack->last_position() + 1;
  }
  return *std::move(packs);
}

}  // namespace

void CheckLogReaderContract(const std::function<std::unique_ptr<LogUnderTest>()>& make) {
  const std::unique_ptr<LogUnderTest> log = make();
  LogReader& reader = log->reader();

  SECTION("an empty log holds nothing and is no error") {
    const LogBounds bounds = BoundsOf(reader);
    CHECK(bounds.floor == bounds.head + 1);
    CHECK(bounds.head == 0);
    CHECK(ReadFrom(reader, 0, 100, 10).empty());
  }

  SECTION("a range is read in order, from any position on and as far as asked") {
    log->Append(3);
    log->Append(2);
    log->Append(4);
    CHECK(BoundsOf(reader).floor == 1);
    CHECK(BoundsOf(reader).head == 9);
    CHECK(ReadFrom(reader, 0, 9, 100).back()->last_position() == 9);
    CHECK(ReadFrom(reader, 1, 9, 100).front()->first_position() == 1);
    CHECK(ReadFrom(reader, 3, 9, 100).front()->first_position() == 4);
    CHECK(ReadFrom(reader, 0, 4, 100).back()->last_position() == 5);
    CHECK(ReadFrom(reader, 9, 20, 100).empty());
    CHECK(ReadFrom(reader, 8, 20, 100).back()->last_position() == 9);
  }

  SECTION("a bound on the events still brings one pack") {
    log->Append(60);
    log->Append(60);
    CHECK(ReadFrom(reader, 0, 120, 1).size() == 1);
    CHECK(ReadFrom(reader, 60, 120, 1).size() == 1);
  }

  SECTION("below the floor nothing is read, at the floor all that is kept") {
    log->Append(3);
    log->Append(2);
    log->DropBelow(4);
    CHECK(BoundsOf(reader).floor == 4);
    CHECK(reader.Read(0, 5, 100).status().code() == absl::StatusCode::kOutOfRange);
    CHECK(reader.Read(2, 5, 100).status().code() == absl::StatusCode::kOutOfRange);
    CHECK(ReadFrom(reader, 3, 5, 100).back()->last_position() == 5);
  }

  SECTION("after a set back what is kept is of the new epoch") {
    log->Append(3);
    log->Append(2);
    const int64_t epoch = BoundsOf(reader).epoch;
    log->SetBack(3);
    CHECK(BoundsOf(reader).epoch > epoch);
    CHECK(BoundsOf(reader).head == 3);
    CHECK(ReadFrom(reader, 0, 5, 100).back()->last_position() == 3);
    log->Append(1);
    CHECK(ReadFrom(reader, 3, 5, 100).back()->last_position() == 4);
  }
}

}  // namespace coder::fanout
