#pragma once

#include <optional>
#include <string>

#include "libs/schedule/cron.h"

namespace coder::schedule {

/// What a deployment says of its users' quiet hours, in which required stops are done.
struct QuietHoursTerms {
  /// A daily schedule that ParseDaily accepts.
  std::string default_schedule = "CRON_TZ=UTC 0 0 * * *";
  /// Users may choose their own.
  bool users_choose = true;
};

/// The quiet hours that hold for a user who has chosen `own`: these, where users may choose and the
/// text can be read, else the deployment's.
Cron QuietHoursOf(const std::optional<std::string>& own, const QuietHoursTerms& terms);

}  // namespace coder::schedule
