#pragma once

#include <nats/nats.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "libs/jetstream/ports/stream_message.h"

namespace coder::jetstream {

// Translates the library's verdict on `attempt`; `error` is JetStream's own code, or 0.
// NOT_FOUND: no such stream, consumer or message. ABORTED: another last sequence than expected.
// UNAVAILABLE: not connected, timed out, or JetStream is off. PERMISSION_DENIED: credentials.
// INVALID_ARGUMENT: an address or a subject. INTERNAL: everything else.
absl::Status ToStatus(natsStatus status, jsErrCode error, absl::string_view attempt,
                      absl::string_view detail = "");

struct MessageDeleter {
  void operator()(natsMsg* message) const { natsMsg_Destroy(message); }
};
using MessagePtr = std::unique_ptr<natsMsg, MessageDeleter>;

// The value of a header, empty when absent.
absl::string_view HeaderOf(natsMsg* message, const char* name);

// Reads a message of the stream, whose sequence the caller knows.
StreamMessage ReadMessage(natsMsg* message, uint64_t sequence);

// Writes the headers of a pack.
natsStatus WriteHeaders(const PackHeaders& headers, natsMsg* message);

}  // namespace coder::jetstream
