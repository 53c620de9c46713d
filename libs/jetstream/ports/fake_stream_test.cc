#include "libs/jetstream/ports/fake_stream.h"

#include <catch2/catch.hpp>

#include "libs/jetstream/ports/stream_contract.h"

namespace coder::jetstream {

TEST_CASE("a stream in memory keeps the contract of a stream") {
  FakeStream stream;
  CheckStreamContract(stream, stream);
}

}  // namespace coder::jetstream
