#include "libs/jetstream/connection.h"

#include <utility>
#include <vector>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "libs/jetstream/nats_status.h"

namespace coder::jetstream {
namespace {

constexpr size_t kKeptEvents = 256;
constexpr int64_t kPingMilliseconds = 5000;
constexpr int kPingsOut = 2;
constexpr int64_t kRequestMilliseconds = 2000;

void OnDisconnected(natsConnection* nats, void* self) {
  const char* error = nullptr;
  (void)natsConnection_GetLastError(nats, &error);
  static_cast<Connection*>(self)->Record(
      {ConnectionEvent::Kind::kDisconnected, error ? error : ""});
}

void OnReconnected(natsConnection*, void* self) {
  static_cast<Connection*>(self)->Record({ConnectionEvent::Kind::kReconnected, ""});
}

void OnClosed(natsConnection*, void* self) {
  static_cast<Connection*>(self)->Record({ConnectionEvent::Kind::kClosed, ""});
}

void OnError(natsConnection*, natsSubscription*, natsStatus status, void* self) {
  static_cast<Connection*>(self)->Record(
      {ConnectionEvent::Kind::kError, natsStatus_GetText(status)});
}

std::vector<std::string> ServersOf(const std::string& url) {
  return absl::StrSplit(url, absl::ByAnyChar(", "), absl::SkipEmpty());
}

// The addresses without the credentials they may hold.
std::string WithoutCredentials(const std::string& url) {
  std::vector<std::string> servers = ServersOf(url);
  for (std::string& server : servers) {
    const size_t scheme = server.find("://");
    const size_t begin = scheme == std::string::npos ? 0 : scheme + 3;
    const size_t at = server.rfind('@');
    if (at != std::string::npos && at >= begin) server.erase(begin, at + 1 - begin);
  }
  return absl::StrJoin(servers, ",");
}

natsStatus SetServers(const std::string& url, natsOptions* into) {
  const std::vector<std::string> servers = ServersOf(url);
  std::vector<const char*> names;
  for (const std::string& server : servers) names.push_back(server.c_str());
  return natsOptions_SetServers(into, names.data(), static_cast<int>(names.size()));
}

natsStatus Configure(const Connection::Options& o, Connection* self, natsOptions* into) {
  natsStatus s = SetServers(o.url, into);
  const auto then = [&s](natsStatus next) {
    if (s == NATS_OK) s = next;
  };
  then(natsOptions_SetName(into, o.name.c_str()));
  if (!o.user.empty()) then(natsOptions_SetUserInfo(into, o.user.c_str(), o.password.c_str()));
  then(natsOptions_SetTimeout(into, absl::ToInt64Milliseconds(o.connect_timeout)));
  then(natsOptions_SetAllowReconnect(into, true));
  then(natsOptions_SetMaxReconnect(into, -1));
  then(natsOptions_SetReconnectWait(into, absl::ToInt64Milliseconds(o.reconnect_wait)));
  const int64_t jitter = absl::ToInt64Milliseconds(o.reconnect_jitter);
  then(natsOptions_SetReconnectJitter(into, jitter, jitter));
  // 0 is the library's word for its default; one byte holds no message.
  then(natsOptions_SetReconnectBufSize(into, 1));
  then(natsOptions_SetPingInterval(into, kPingMilliseconds));
  then(natsOptions_SetMaxPingsOut(into, kPingsOut));
  then(natsOptions_SetSendAsap(into, o.send_asap));
  then(natsOptions_SetNoEcho(into, !o.echo));
  then(natsOptions_SetDisconnectedCB(into, OnDisconnected, self));
  then(natsOptions_SetReconnectedCB(into, OnReconnected, self));
  then(natsOptions_SetClosedCB(into, OnClosed, self));
  then(natsOptions_SetErrorHandler(into, OnError, self));
  return s;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Connection>> Connection::Connect(const Options& options) {
  std::unique_ptr<Connection> connection(new Connection());
  natsOptions* configured = nullptr;
  natsStatus s = natsOptions_Create(&configured);
  if (s == NATS_OK) s = Configure(options, connection.get(), configured);
  if (s == NATS_OK) s = natsConnection_Connect(&connection->nats_, configured);
  natsOptions_Destroy(configured);
  if (s != NATS_OK)
    return ToStatus(s, jsErrCode(0), "connect to nats at " + WithoutCredentials(options.url));
  jsOptions js;
  jsOptions_Init(&js);
  js.Wait = kRequestMilliseconds;
  s = natsConnection_JetStream(&connection->js_, connection->nats_, &js);
  if (s != NATS_OK)
    return ToStatus(s, jsErrCode(0), "open jetstream at " + WithoutCredentials(options.url));
  connection->Record({ConnectionEvent::Kind::kConnected, ""});
  return connection;
}

Connection::~Connection() {
  jsCtx_Destroy(js_);
  if (!nats_) return;
  natsConnection_Close(nats_);
  {
    // The library's callback thread may still hold this object until it has said so.
    std::unique_lock lock(mu_);
    arrived_.wait(lock, [this] { return closed_; });
  }
  natsConnection_Destroy(nats_);
}

bool Connection::connected() const {
  return natsConnection_Status(nats_) == NATS_CONN_STATUS_CONNECTED;
}

std::optional<ConnectionEvent> Connection::NextEvent(absl::Duration limit) {
  std::unique_lock lock(mu_);
  if (!arrived_.wait_for(lock, absl::ToChronoMilliseconds(limit),
                         [this] { return !events_.empty(); })) {
    return std::nullopt;
  }
  ConnectionEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

void Connection::Record(ConnectionEvent event) {
  if (event.kind != ConnectionEvent::Kind::kError) ++changes_;
  std::lock_guard lock(mu_);
  closed_ = closed_ || event.kind == ConnectionEvent::Kind::kClosed;
  events_.push_back(std::move(event));
  if (events_.size() > kKeptEvents) events_.pop_front();
  arrived_.notify_all();
}

}  // namespace coder::jetstream
