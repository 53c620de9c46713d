#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/schedule/cron.h"

namespace coder::schedule {

/// Days of the week as bits; bit 0 is Monday, bit 6 Sunday.
using DaysOfWeek = uint8_t;

inline constexpr DaysOfWeek kEveryDay = 0x7f;

/// Whether `day` is in `days`.
bool Contains(DaysOfWeek days, absl::Weekday day);

/// The first run of `schedule` strictly after `at` that falls, in the schedule's zone, on a day its
/// template allows. Looks seven days ahead (a run more than seven days after `at` does not count);
/// FAILED_PRECONDITION when no allowed day has one.
absl::StatusOr<absl::Time> NextAllowedAutostart(absl::Time at, const Cron& schedule,
                                                DaysOfWeek allowed);

}  // namespace coder::schedule
