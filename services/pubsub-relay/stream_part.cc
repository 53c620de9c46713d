#include "services/pubsub-relay/stream_part.h"

#include "libs/server/log.h"
#include "libs/status/status_macros.h"

namespace coder::relay {
namespace {

constexpr absl::Duration kRetry = absl::Milliseconds(500);

// A connection counts its own changes; each new one begins far above the last.
constexpr int64_t kChangesPerSession = int64_t{1} << 32;

absl::Status Absent() { return absl::UnavailableError("reach the stream: NATS is not connected"); }

}  // namespace

absl::Status StreamPart::Start() {
  keeper_ = std::jthread([this](std::stop_token stop) { Keep(stop); });
  return absl::OkStatus();
}

void StreamPart::Stop() {
  keeper_ = std::jthread();
  std::shared_ptr<Session> last;
  std::lock_guard lock(mutex_);
  last.swap(session_);
}

void StreamPart::Keep(std::stop_token stop) {
  while (!stop.stop_requested()) {
    auto session = Connect();
    {
      std::lock_guard lock(mutex_);
      trouble_ = session.status();
      if (session.ok()) {
        session_ = *session;
        ++sessions_;
      }
    }
    if (!session.ok()) {
      log::Warn("cannot reach NATS; it will be tried again", {{"error", session.status()}});
      clock_.Wait(kRetry, stop);
      continue;
    }
    poked_();
    jetstream::Connection& connection = *(*session)->connection;
    while (!stop.stop_requested()) {
      const auto event = connection.NextEvent(absl::Milliseconds(200));
      if (!event) continue;
      log::Info("the connection to NATS changed", {{"detail", event->detail}});
      if (event->kind == jetstream::ConnectionEvent::Kind::kClosed) break;
      if (event->kind == jetstream::ConnectionEvent::Kind::kReconnected) poked_();
    }
    std::lock_guard lock(mutex_);
    trouble_ = Absent();
    session_.reset();
  }
}

absl::StatusOr<std::shared_ptr<StreamPart::Session>> StreamPart::Connect() {
  auto session = std::make_shared<Session>();
  ASSIGN_OR_RETURN(session->connection, jetstream::Connection::Connect(options_));
  session->admin = std::make_unique<jetstream::JetstreamAdmin>(*session->connection, spec_);
  ASSIGN_OR_RETURN(session->publisher, jetstream::JetstreamPublisher::Create(
                                           *session->connection, {.subject = spec_.subject}));
  ASSIGN_OR_RETURN(session->pokes, jetstream::PokeListener::Listen(*session->connection,
                                                                   jetstream::kOutboxPoke, poked_));
  return session;
}

std::shared_ptr<StreamPart::Session> StreamPart::Current() const {
  std::lock_guard lock(mutex_);
  return session_;
}

absl::Status StreamPart::Ready() const {
  if (const auto session = Current()) {
    return session->connection->connected() ? absl::OkStatus() : Absent();
  }
  std::lock_guard lock(mutex_);
  return trouble_;
}

bool StreamPart::connected() const { return Ready().ok(); }

int64_t StreamPart::changes() const {
  std::lock_guard lock(mutex_);
  return sessions_ * kChangesPerSession + (session_ ? session_->connection->changes() : 0);
}

absl::StatusOr<bool> StreamPart::Ensure() {
  const auto session = Current();
  if (!session) return Absent();
  return session->admin->Ensure();
}

absl::StatusOr<jetstream::StreamState> StreamPart::State() {
  const auto session = Current();
  if (!session) return Absent();
  return session->admin->State();
}

absl::StatusOr<jetstream::StreamMessage> StreamPart::ReadAt(uint64_t sequence) {
  const auto session = Current();
  if (!session) return Absent();
  return session->admin->ReadAt(sequence);
}

absl::StatusOr<jetstream::StreamMessage> StreamPart::ReadTail() {
  const auto session = Current();
  if (!session) return Absent();
  return session->admin->ReadTail();
}

absl::Status StreamPart::Purge(uint64_t last_sequence) {
  const auto session = Current();
  return session ? session->admin->Purge(last_sequence) : Absent();
}

void StreamPart::Begin(uint64_t last_sequence) {
  if (const auto session = Current()) session->publisher->Begin(last_sequence);
}

absl::Status StreamPart::Publish(const jetstream::PackHeaders& headers, absl::string_view payload) {
  const auto session = Current();
  return session ? session->publisher->Publish(headers, payload) : Absent();
}

jetstream::PublishProgress StreamPart::Await(absl::Duration limit) {
  const auto session = Current();
  if (!session) return {.refusal = Absent()};
  return session->publisher->Await(limit);
}

jetstream::PublishProgress StreamPart::progress() const {
  const auto session = Current();
  if (!session) return {.refusal = Absent()};
  return session->publisher->progress();
}

}  // namespace coder::relay
