#include "services/pubsub-relay/config.h"

#include <optional>
#include <string>

namespace coder::relay {

void RegisterOptions(server::OptionSet& set, Config& config) {
  set.Command("serve", "run the relay");
  set.Example("pubsub-relay --postgres-url-file=/run/secrets/postgres --nats-url=nats://nats:4222");
  server::RegisterCommonOptions(set, config.common);
  server::RegisterAdminOptions(set, config.admin);
  server::RegisterGrpcServerOptions(set, config.grpc);
  set.Group("Database");
  set.SecretText("postgres-url", &config.postgres_url,
                 "libpq's address, key=value or URI, of a login with the role coder_relay");
  set.Required();
  set.Group("Stream");
  set.SecretText("nats-url", &config.nats_url,
                 "addresses of the NATS servers, separated by commas, with credentials");
  set.Required();
  set.Integer<int64_t>("stream-max-bytes", &config.stream_max_bytes, 1 << 20, int64_t{1} << 40,
                       "size of the stream; well below the servers' max_file");
  set.Duration("stream-max-age", &config.stream_max_age, absl::Minutes(1),
               "how long the stream keeps a message");
  set.Integer<int64_t>("stream-replicas", &config.stream_replicas, 1, 5,
                       "NATS servers that hold a copy of the stream");
  set.Group("Relaying");
  set.Duration("poll-interval", &config.poll_interval, absl::Milliseconds(100),
               "how often the outbox is looked at when nobody pokes");
  set.Check([&config]() -> std::optional<std::string> {
    if (config.poll_interval <= absl::Seconds(1)) return std::nullopt;
    return "poll-interval is above 1s; watchers would wait as long; set 100ms to 1s";
  });
  set.Integer<int64_t>("max-events", &config.max_events, 64, 16'384,
                       "events given a position by one statement");
  set.Integer<int64_t>("ring-events", &config.ring_events, 1024, 10'000'000,
                       "last events an empty stream is filled with; coderd-api's ring-events");
  set.Group("Log");
  set.Duration("retention", &config.retention, absl::Hours(1),
               "how long events stay in the log at least; resume tokens live as long");
  set.Integer<int>("partitions-ahead", &config.partitions_ahead, 1, 100,
                   "partitions of a million events made after the current one");
}

}  // namespace coder::relay
