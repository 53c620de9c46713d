#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "libs/fanout/log_reader.h"

namespace coder::fanout {

/// A log of the kind under test, fresh and empty, and the means to change it.
class LogUnderTest {
 public:
  virtual ~LogUnderTest() = default;

  virtual LogReader& reader() = 0;
  /// Adds `events` events, at most 64, as one pack.
  virtual void Append(int64_t events) = 0;
  /// Forgets the packs wholly below `floor`.
  virtual void DropBelow(int64_t floor) = 0;
  /// Begins a new epoch that keeps nothing above `head`, the last position of a pack.
  virtual void SetBack(int64_t head) = 0;
};

/// What LogReader promises, asked of any kind of log: to be called from a TEST_CASE.
void CheckLogReaderContract(const std::function<std::unique_ptr<LogUnderTest>()>& make);

}  // namespace coder::fanout
