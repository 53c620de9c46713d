#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "libs/jetstream/connection.h"
#include "libs/jetstream/ports/stream_admin.h"

namespace coder::jetstream {

// How the stream of build events is to be kept. Stored in files; at a limit the oldest messages
// go. Both limits belong well below what the server may use in all.
struct StreamSpec {
  std::string name = "BUILD_EVENTS";
  std::string subject = "build.events";
  int64_t max_bytes = int64_t{1} << 30;
  absl::Duration max_age = absl::Hours(24);
  // How long the server remembers message ids, of which none are sent: as short as it may be.
  absl::Duration duplicate_window = absl::Seconds(1);
  int64_t replicas = 1;
};

// The owner's view of a stream of JetStream.
class JetstreamAdmin : public StreamAdmin {
 public:
  // `connection` must outlive this.
  JetstreamAdmin(Connection& connection, StreamSpec spec)
      : connection_(connection), spec_(std::move(spec)) {}

  absl::StatusOr<bool> Ensure() override;
  absl::StatusOr<StreamState> State() override;
  absl::StatusOr<StreamMessage> ReadAt(uint64_t sequence) override;
  absl::StatusOr<StreamMessage> ReadTail() override;
  absl::Status Purge(uint64_t last_sequence) override;

 private:
  Connection& connection_;
  const StreamSpec spec_;
};

}  // namespace coder::jetstream
