#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "libs/jetstream/connection.h"

struct __natsSubscription;

namespace coder::jetstream {

// Where a writer hints that the outbox has rows.
inline constexpr char kOutboxPoke[] = "outbox.poke";

// Sends a hint with no content on `subject`. UNAVAILABLE: not connected; the hint is lost, which
// whoever waits for it must bear.
absl::Status Poke(Connection& connection, const std::string& subject);

// Hears hints until destroyed.
class PokeListener {
 public:
  // Calls `poked` for every hint, from a thread of the library: it must only hand over.
  // `connection` must outlive the listener. UNAVAILABLE: not connected.
  static absl::StatusOr<std::unique_ptr<PokeListener>> Listen(Connection& connection,
                                                              const std::string& subject,
                                                              std::function<void()> poked);
  // No call is made afterwards.
  ~PokeListener();

 private:
  struct Ear;
  explicit PokeListener(std::shared_ptr<Ear> ear) : ear_(std::move(ear)) {}

  std::shared_ptr<Ear> ear_;
  __natsSubscription* subscription_ = nullptr;
};

}  // namespace coder::jetstream
