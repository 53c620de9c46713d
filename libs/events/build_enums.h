#pragma once

#include <optional>

#include "coder/events/v1/build_event.pb.h"
#include "libs/lifecycle/types.h"

namespace coder::events {

/// The stored and streamed form of a domain value; never unspecified.
v1::BuildTransition ToProto(lifecycle::BuildTransition value);
v1::JobStatus ToProto(lifecycle::JobStatus value);
v1::BuildReason ToProto(lifecycle::BuildReason value);

/// The domain value; nothing for unspecified and for numbers this program does not know.
std::optional<lifecycle::BuildTransition> FromProto(v1::BuildTransition value);
std::optional<lifecycle::JobStatus> FromProto(v1::JobStatus value);
std::optional<lifecycle::BuildReason> FromProto(v1::BuildReason value);

}  // namespace coder::events
