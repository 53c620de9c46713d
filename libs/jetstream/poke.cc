#include "libs/jetstream/poke.h"

#include <mutex>
#include <utility>

#include "libs/jetstream/nats_status.h"

namespace coder::jetstream {

// Outlives the listener while the library still holds it.
struct PokeListener::Ear {
  std::mutex mu;
  std::function<void()> poked;

  static void OnMessage(natsConnection*, natsSubscription*, natsMsg* message, void* closure) {
    const MessagePtr owned(message);
    Ear& ear = **static_cast<std::shared_ptr<Ear>*>(closure);
    std::lock_guard lock(ear.mu);
    if (ear.poked) ear.poked();
  }
  static void OnComplete(void* closure) { delete static_cast<std::shared_ptr<Ear>*>(closure); }
};

absl::Status Poke(Connection& connection, const std::string& subject) {
  const natsStatus s = natsConnection_Publish(connection.nats(), subject.c_str(), nullptr, 0);
  return ToStatus(s, jsErrCode(0), "poke " + subject);
}

absl::StatusOr<std::unique_ptr<PokeListener>> PokeListener::Listen(Connection& connection,
                                                                   const std::string& subject,
                                                                   std::function<void()> poked) {
  auto ear = std::make_shared<Ear>();
  ear->poked = std::move(poked);
  std::unique_ptr<PokeListener> listener(new PokeListener(ear));
  auto held = std::make_unique<std::shared_ptr<Ear>>(ear);
  natsStatus s = natsConnection_Subscribe(&listener->subscription_, connection.nats(),
                                          subject.c_str(), &Ear::OnMessage, held.get());
  if (s != NATS_OK) return ToStatus(s, jsErrCode(0), "listen to " + subject);
  s = natsSubscription_SetOnCompleteCB(listener->subscription_, &Ear::OnComplete, held.get());
  // Without the completion call nobody could say when the library lets go of it.
  (void)held.release();
  if (s != NATS_OK) return ToStatus(s, jsErrCode(0), "listen to " + subject);
  s = natsConnection_FlushTimeout(connection.nats(), 2000);
  if (s != NATS_OK) return ToStatus(s, jsErrCode(0), "listen to " + subject);
  return listener;
}

PokeListener::~PokeListener() {
  {
    std::lock_guard lock(ear_->mu);
    ear_->poked = nullptr;
  }
  natsSubscription_Destroy(subscription_);
}

}  // namespace coder::jetstream
