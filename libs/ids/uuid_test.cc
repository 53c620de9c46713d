#include "libs/ids/uuid.h"

#include <catch2/catch.hpp>
#include <set>
#include <thread>
#include <vector>

namespace coder::ids {
namespace {

TEST_CASE("a uuid keeps its text form, in lower case") {
  const auto id = Uuid::Parse("018F3C5E-7b1a-7c3d-9e2f-0a1b2c3d4e5f");
  REQUIRE(id.ok());
  CHECK(id->ToString() == "018f3c5e-7b1a-7c3d-9e2f-0a1b2c3d4e5f");
  CHECK_FALSE(id->IsNil());
  CHECK(Uuid().ToString() == "00000000-0000-0000-0000-000000000000");
  CHECK(Uuid().IsNil());
}

TEST_CASE("anything but 8-4-4-4-12 hexadecimal digits is refused") {
  for (const char* text :
       {"", "x", "018f3c5e7b1a7c3d9e2f0a1b2c3d4e5f", "018f3c5e-7b1a-7c3d-9e2f-0a1b2c3d4e5",
        "018f3c5e-7b1a-7c3d-9e2f-0a1b2c3d4e5g", "{018f3c5e-7b1a-7c3d-9e2f-0a1b2c3d4e}",
        "018f3c5e07b1a-7c3d-9e2f-0a1b2c3d4e5f", "018f3c5e-7b1a-7c3d-9e2f-0a1b2c3d4e5f "}) {
    CAPTURE(text);
    CHECK(Uuid::Parse(text).status().code() == absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("a version 7 value carries its millisecond, version and variant") {
  UuidV7Generator generator([] { return absl::FromUnixMillis(0x0123456789ab); },
                            [] { return ~uint64_t{0}; });
  CHECK(generator.Next().ToString() == "01234567-89ab-7000-bfff-ffffffffffff");
  CHECK(generator.Next().ToString() == "01234567-89ab-7001-bfff-ffffffffffff");
}

TEST_CASE(
    "values strictly rise while the clock stands still, steps back and the counter overflows") {
  int64_t millis = 1000;
  UuidV7Generator generator([&] { return absl::FromUnixMillis(millis); },
                            [] { return uint64_t{0}; });
  Uuid last = generator.Next();
  for (int i = 0; i < 10000; ++i) {
    if (i == 5000) millis = 10;
    if (i == 7000) millis = 2000;
    const Uuid next = generator.Next();
    REQUIRE(last < next);
    last = next;
  }
}

TEST_CASE("threads sharing a generator never get the same value") {
  UuidV7Generator generator([] { return absl::FromUnixMillis(1); }, SystemRandom());
  std::vector<std::vector<Uuid>> made(4);
  std::vector<std::thread> threads;
  for (auto& mine : made) {
    threads.emplace_back([&generator, &mine] {
      for (int i = 0; i < 2000; ++i) mine.push_back(generator.Next());
    });
  }
  for (auto& thread : threads) thread.join();
  std::set<Uuid> all;
  for (const auto& mine : made) all.insert(mine.begin(), mine.end());
  CHECK(all.size() == 8000);
}

}  // namespace
}  // namespace coder::ids
