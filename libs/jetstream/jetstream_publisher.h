#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "libs/jetstream/connection.h"
#include "libs/jetstream/ports/publisher.h"

namespace coder::jetstream {

// The publisher that sends to a JetStream stream.
class JetstreamPublisher : public Publisher {
 public:
  struct Options {
    std::string subject = "build.events";
    // The most messages on their way; 1 to 4,096.
    int64_t max_in_flight = 2048;
    // A message not answered for so long is refused as UNAVAILABLE; nor does Publish() wait longer.
    absl::Duration answer_limit = absl::Seconds(5);
  };

  // `connection` must outlive the publisher. INTERNAL: the library cannot make its context.
  static absl::StatusOr<std::unique_ptr<JetstreamPublisher>> Create(Connection& connection,
                                                                    Options options);
  ~JetstreamPublisher() override;

  void Begin(uint64_t last_sequence) override;
  absl::Status Publish(const PackHeaders& headers, absl::string_view payload) override;
  PublishProgress Await(absl::Duration limit) override;
  PublishProgress progress() const override;

 private:
  class Run;
  JetstreamPublisher(Connection& connection, Options options, std::unique_ptr<Run> run);

  Connection& connection_;
  const Options options_;
  const std::unique_ptr<Run> run_;
  __jsCtx* js_ = nullptr;
};

}  // namespace coder::jetstream
