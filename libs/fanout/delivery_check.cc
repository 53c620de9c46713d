#include "libs/fanout/delivery_check.h"

namespace coder::fanout {

DeliveryCheck::Verdict DeliveryCheck::Look(const Step& step) {
  int64_t accounted = step.left_out;
  for (const Run& run : step.runs) accounted += run.events;
  const int64_t advance = step.token.position - position_;
  position_ = step.token.position;
  if (accounted < advance) return Verdict::kGap;
  return accounted > advance ? Verdict::kDuplicate : Verdict::kExact;
}

}  // namespace coder::fanout
