#include "libs/fanout/fake_log.h"

#include <catch2/catch.hpp>

#include "libs/fanout/log_reader_contract.h"

namespace coder::fanout {
namespace {

class FakeLogUnderTest : public LogUnderTest {
 public:
  LogReader& reader() override { return log_; }
  void Append(int64_t events) override { log_.Append(events); }
  void DropBelow(int64_t floor) override { log_.DropBelow(floor); }
  void SetBack(int64_t head) override { log_.SetBack(head); }

 private:
  FakeLog log_;
};

TEST_CASE("a log in memory keeps the contract of a log") {
  CheckLogReaderContract([] { return std::make_unique<FakeLogUnderTest>(); });
}

}  // namespace
}  // namespace coder::fanout
