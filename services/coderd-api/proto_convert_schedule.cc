#include "services/coderd-api/proto_convert_schedule.h"

#include "libs/events/proto_time.h"
#include "services/coderd-api/request_fields.h"

namespace coder::api {
namespace {

constexpr int64_t kMaxSeconds = 253370764799;  // the end of 9998

v1::ClockChange ToProto(schedule::ClockChange change) {
  switch (change) {
    case schedule::ClockChange::kNone:
      return v1::CLOCK_CHANGE_NONE;
    case schedule::ClockChange::kSkipped:
      return v1::CLOCK_CHANGE_SKIPPED;
    case schedule::ClockChange::kRepeated:
      return v1::CLOCK_CHANGE_REPEATED;
  }
  return v1::CLOCK_CHANGE_UNSPECIFIED;
}

std::string OnTheWall(absl::Time time, const absl::TimeZone& zone) {
  return absl::FormatTime(absl::RFC3339_sec, time, zone);
}

}  // namespace

v1::ScheduleFire FireToProto(const lifecycle::PreviewedStart& start,
                             const absl::TimeZone& schedule_zone, const absl::TimeZone& zone) {
  v1::ScheduleFire fire;
  *fire.mutable_nominal_time() = events::ToProto(start.nominal_time);
  fire.set_schedule_local(OnTheWall(start.nominal_time, schedule_zone));
  fire.set_local(OnTheWall(start.nominal_time, zone));
  fire.set_clock_change(ToProto(start.clock_change));
  fire.set_skip_reason(start.skip_reason);
  fire.set_detail(start.detail);
  return fire;
}

v1::Blackout BlackoutToProto(const storage::BlackoutRecord& record) {
  v1::Blackout out;
  out.set_id(record.id.ToString());
  out.set_organization_id(record.organization.ToString());
  if (record.template_id) out.set_template_id(record.template_id->ToString());
  out.set_first_date(lifecycle::FormatDate(record.dates.first));
  out.set_last_date(lifecycle::FormatDate(record.dates.last));
  out.set_reason(record.dates.reason);
  out.set_creator_id(record.creator.ToString());
  *out.mutable_create_time() = events::ToProto(record.created_at);
  return out;
}

absl::StatusOr<absl::Time> ScheduleTimeField(absl::string_view field,
                                             const google::protobuf::Timestamp& time) {
  if (time.seconds() < 0 || time.seconds() > kMaxSeconds || time.nanos() < 0 ||
      time.nanos() > 999'999'999) {
    return InvalidField(field, "is no time between the years 1970 and 9998");
  }
  return events::FromProto(time);
}

}  // namespace coder::api
