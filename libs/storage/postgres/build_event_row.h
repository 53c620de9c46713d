#pragma once

#include "absl/status/statusor.h"
#include "coder/events/v1/build_event.pb.h"
#include "libs/pg/result.h"

namespace coder::storage {

/// The event that says how a build stands, from a row with the ids and names of everything it
/// concerns (see the statements of build_event_writer and pg_workspace_snapshot). INVALID_ARGUMENT
/// when the row holds a word this program does not know.
absl::StatusOr<events::v1::BuildEvent> ReadBuildEvent(const pg::Result::Row& row,
                                                      events::v1::BuildEventKind kind);

}  // namespace coder::storage
