#pragma once

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coder/api/v1/schedule.pb.h"
#include "libs/lifecycle/start_preview.h"
#include "libs/storage/blackout_store.h"

namespace coder::api {

/// One time of a preview, as it reads on the walls of both zones.
v1::ScheduleFire FireToProto(const lifecycle::PreviewedStart& start,
                             const absl::TimeZone& schedule_zone, const absl::TimeZone& zone);

v1::Blackout BlackoutToProto(const storage::BlackoutRecord& record);

/// A moment in the years 1970 to 9998, so that what follows it can be told as well.
/// INVALID_ARGUMENT, with a violation of `field`, for any other.
absl::StatusOr<absl::Time> ScheduleTimeField(absl::string_view field,
                                             const google::protobuf::Timestamp& time);

}  // namespace coder::api
