#pragma once

#include <google/protobuf/message_lite.h>

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/status/error_reason.h"
#include "libs/storage/idempotency.h"
#include "services/coderd-api/call.h"

namespace coder::api {

/// INVALID_ARGUMENT with a violation of `field`.
absl::Status InvalidField(absl::string_view field, absl::string_view description);

/// The id in a request's field; InvalidField for any other text.
template <typename Id>
absl::StatusOr<Id> IdField(absl::string_view field, absl::string_view text) {
  absl::StatusOr<Id> id = Id::Parse(text);
  if (!id.ok()) return InvalidField(field, id.status().message());
  return id;
}

/// The key under which a create is done once, from its `request_id`; nothing when that is empty.
/// InvalidField for a text that is no UUID.
absl::StatusOr<std::optional<storage::RequestKey>> RequestKeyOf(
    const CallContext& call, const std::string& request_id,
    const google::protobuf::MessageLite& request);

}  // namespace coder::api
