#include "libs/schedule/quiet_hours.h"

namespace coder::schedule {

Cron QuietHoursOf(const std::optional<std::string>& own, const QuietHoursTerms& terms) {
  if (own && terms.users_choose) {
    if (auto cron = Cron::ParseDaily(*own); cron.ok()) return *std::move(cron);
  }
  return Cron::ParseDaily(terms.default_schedule).value();
}

}  // namespace coder::schedule
