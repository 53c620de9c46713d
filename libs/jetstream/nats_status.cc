#include "libs/jetstream/nats_status.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace coder::jetstream {
namespace {

absl::StatusCode CodeOf(natsStatus status, jsErrCode error) {
  switch (static_cast<int>(error)) {
    case JSStreamNotFoundErr:
    case JSConsumerNotFoundErr:
    case JSNoMessageFoundErr:
      return absl::StatusCode::kNotFound;
    case JSStreamWrongLastSequenceErr:
      return absl::StatusCode::kAborted;
    default:
      break;
  }
  switch (status) {
    case NATS_NOT_FOUND:
      return absl::StatusCode::kNotFound;
    case NATS_CONNECTION_AUTH_FAILED:
    case NATS_NOT_PERMITTED:
      return absl::StatusCode::kPermissionDenied;
    case NATS_INVALID_ARG:
    case NATS_ADDRESS_MISSING:
    case NATS_INVALID_SUBJECT:
      return absl::StatusCode::kInvalidArgument;
    case NATS_IO_ERROR:
    case NATS_CONNECTION_CLOSED:
    case NATS_NO_SERVER:
    case NATS_STALE_CONNECTION:
    case NATS_CONNECTION_DISCONNECTED:
    case NATS_TIMEOUT:
    case NATS_NO_RESPONDERS:
    case NATS_NOT_YET_CONNECTED:
    case NATS_INSUFFICIENT_BUFFER:
      return absl::StatusCode::kUnavailable;
    default:
      return absl::StatusCode::kInternal;
  }
}

}  // namespace

absl::Status ToStatus(natsStatus status, jsErrCode error, absl::string_view attempt,
                      absl::string_view detail) {
  if (status == NATS_OK && error == 0) return absl::OkStatus();
  return absl::Status(
      CodeOf(status, error),
      absl::StrCat(attempt, ": ", natsStatus_GetText(status), detail.empty() ? "" : ": ", detail,
                   error == 0 ? "" : absl::StrCat(" (", static_cast<int>(error), ")")));
}

absl::string_view HeaderOf(natsMsg* message, const char* name) {
  const char* value = nullptr;
  if (natsMsgHeader_Get(message, name, &value) != NATS_OK || !value) return "";
  return value;
}

StreamMessage ReadMessage(natsMsg* message, uint64_t sequence) {
  StreamMessage read = {.sequence = sequence};
  PackHeaders& h = read.headers;
  read.has_headers = absl::SimpleAtoi(HeaderOf(message, "Epoch"), &h.epoch) &&
                     absl::SimpleAtoi(HeaderOf(message, "First-Position"), &h.first_position) &&
                     absl::SimpleAtoi(HeaderOf(message, "Last-Position"), &h.last_position) &&
                     absl::SimpleAtoi(HeaderOf(message, "Last-Event-Id"), &h.last_event_id) &&
                     h.first_position >= 1 && h.first_position <= h.last_position &&
                     h.last_position - h.first_position < 64;
  read.payload.assign(natsMsg_GetData(message),
                      static_cast<size_t>(natsMsg_GetDataLength(message)));
  return read;
}

natsStatus WriteHeaders(const PackHeaders& headers, natsMsg* message) {
  const auto set = [message](const char* name, int64_t value) {
    return natsMsgHeader_Set(message, name, std::to_string(value).c_str());
  };
  natsStatus status = set("Epoch", headers.epoch);
  if (status == NATS_OK) status = set("First-Position", headers.first_position);
  if (status == NATS_OK) status = set("Last-Position", headers.last_position);
  if (status == NATS_OK) status = set("Last-Event-Id", headers.last_event_id);
  return status;
}

}  // namespace coder::jetstream
