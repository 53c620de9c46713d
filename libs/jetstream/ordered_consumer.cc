#include "libs/jetstream/ordered_consumer.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/jetstream/nats_status.h"

namespace coder::jetstream {
namespace {

using MonotonicClock = std::chrono::steady_clock;

// How long one look for a message lasts, so that a stop or a lost connection is soon seen.
constexpr int64_t kLookMilliseconds = 100;
constexpr absl::Duration kFirstRetryWait = absl::Milliseconds(50);
constexpr absl::Duration kAbandonedConsumerLife = absl::Seconds(10);

struct Delivery {
  uint64_t stream_sequence = 0;
  uint64_t consumer_sequence = 0;
};

// Reads `$JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.
// <time>.<pending>[.<token>]`.
bool ReadDelivery(const char* reply, Delivery& delivery) {
  if (!reply) return false;
  const std::vector<absl::string_view> tokens = absl::StrSplit(reply, '.');
  if (tokens.size() < 9 || tokens[0] != "$JS" || tokens[1] != "ACK") return false;
  const size_t at = tokens.size() == 9 ? 5 : 7;
  return tokens.size() > at + 1 && absl::SimpleAtoi(tokens[at], &delivery.stream_sequence) &&
         absl::SimpleAtoi(tokens[at + 1], &delivery.consumer_sequence);
}

}  // namespace

// One consumer on the server and the subscription that hears it.
class OrderedConsumer::Session {
 public:
  Session(Connection& connection, const Options& options)
      : connection_(connection), options_(options), changes_(connection.changes()) {}

  ~Session() {
    // A server that cannot be asked forgets the consumer by itself.
    if (!name_.empty() && connection_.connected()) {
      (void)js_DeleteConsumer(connection_.js(), options_.stream.c_str(), name_.c_str(), nullptr,
                              nullptr);
    }
    natsSubscription_Destroy(subscription_);
    natsInbox_Destroy(inbox_);
  }

  // Makes the consumer so that it delivers from `next` on; 0: what is new. `next` is lowered when
  // the stream ends below it, which a lost tail or a new stream does.
  absl::Status Open(uint64_t& next) {
    if (!connection_.connected()) return absl::UnavailableError("consume: not connected");
    natsStatus s = natsInbox_Create(&inbox_);
    if (s == NATS_OK) {
      s = natsConnection_SubscribeSync(&subscription_, connection_.nats(), inbox_);
    }
    // The server's flow control bounds what waits here.
    if (s == NATS_OK) s = natsSubscription_SetPendingLimits(subscription_, -1, -1);
    if (s != NATS_OK) return ToStatus(s, jsErrCode(0), "subscribe to " + options_.stream);
    if (absl::Status clamped = Clamp(next); !clamped.ok()) return clamped;
    return AddConsumer(next);
  }

  // Takes what arrives next. OK: a message, given to `sink`, or nothing yet. Otherwise the doubt
  // that ends the session.
  absl::Status Take(StreamSink& sink, uint64_t& next) {
    natsMsg* raw = nullptr;
    const natsStatus s = natsSubscription_NextMsg(&raw, subscription_, kLookMilliseconds);
    const MessagePtr message(raw);
    if (connection_.changes() != changes_) {
      return absl::UnavailableError("consume: the connection was lost or made again");
    }
    if (s == NATS_TIMEOUT) return CheckSilence();
    if (s != NATS_OK) return ToStatus(s, jsErrCode(0), "consume " + options_.stream);
    heard_at_ = MonotonicClock::now();
    if (HeaderOf(raw, "Status") == "100" && natsMsg_GetDataLength(raw) == 0) return Control(raw);
    return Deliver(raw, sink, next);
  }

 private:
  absl::Status Clamp(uint64_t& next) {
    jsStreamInfo* info = nullptr;
    jsErrCode error = jsErrCode(0);
    const natsStatus s =
        js_GetStreamInfo(&info, connection_.js(), options_.stream.c_str(), nullptr, &error);
    if (s != NATS_OK) return ToStatus(s, error, "consume " + options_.stream);
    const uint64_t after_last = info->State.LastSeq + 1;
    next = next == 0 ? after_last : std::min(next, after_last);
    jsStreamInfo_Destroy(info);
    return absl::OkStatus();
  }

  absl::Status AddConsumer(uint64_t next) {
    jsConsumerConfig config;
    jsConsumerConfig_Init(&config);
    config.DeliverPolicy = js_DeliverByStartSequence;
    config.OptStartSeq = next;
    config.AckPolicy = js_AckNone;
    config.MaxDeliver = 1;
    config.FlowControl = true;
    config.Heartbeat = absl::ToInt64Nanoseconds(options_.silence_limit / 3);
    config.DeliverSubject = inbox_;
    config.InactiveThreshold = absl::ToInt64Nanoseconds(kAbandonedConsumerLife);
    config.MemoryStorage = true;
    config.Replicas = 1;
    jsConsumerInfo* info = nullptr;
    jsErrCode error = jsErrCode(0);
    const natsStatus s =
        js_AddConsumer(&info, connection_.js(), options_.stream.c_str(), &config, nullptr, &error);
    if (s != NATS_OK) return ToStatus(s, error, "consume " + options_.stream);
    name_ = info->Name;
    jsConsumerInfo_Destroy(info);
    heard_at_ = MonotonicClock::now();
    return absl::OkStatus();
  }

  absl::Status CheckSilence() const {
    const auto silence = absl::FromChrono(MonotonicClock::now() - heard_at_);
    if (silence <= options_.silence_limit) return absl::OkStatus();
    return absl::UnavailableError(absl::StrCat("consume ", options_.stream, ": no heartbeat for ",
                                               absl::FormatDuration(silence)));
  }

  absl::Status Control(natsMsg* message) {
    if (const char* reply = natsMsg_GetReply(message)) Resume(reply);
    const absl::string_view stalled = HeaderOf(message, "Nats-Consumer-Stalled");
    if (!stalled.empty()) Resume(std::string(stalled).c_str());
    uint64_t last = 0;
    if (absl::SimpleAtoi(HeaderOf(message, "Nats-Last-Consumer"), &last) &&
        last != consumer_sequence_) {
      return Skipped(last);
    }
    return absl::OkStatus();
  }

  // A lost answer shows as silence, which ends the session.
  void Resume(const char* subject) {
    (void)natsConnection_Publish(connection_.nats(), subject, nullptr, 0);
  }

  absl::Status Deliver(natsMsg* message, StreamSink& sink, uint64_t& next) {
    Delivery delivery;
    if (!ReadDelivery(natsMsg_GetReply(message), delivery)) return absl::OkStatus();
    if (delivery.consumer_sequence != consumer_sequence_ + 1) {
      return Skipped(delivery.consumer_sequence);
    }
    consumer_sequence_ = delivery.consumer_sequence;
    next = delivery.stream_sequence + 1;
    sink.OnMessage(ReadMessage(message, delivery.stream_sequence));
    return absl::OkStatus();
  }

  absl::Status Skipped(uint64_t to) const {
    return absl::DataLossError(absl::StrCat("consume ", options_.stream, ": delivery ", to,
                                            " follows ", consumer_sequence_));
  }

  Connection& connection_;
  const Options& options_;
  const int64_t changes_;
  natsInbox* inbox_ = nullptr;
  natsSubscription* subscription_ = nullptr;
  std::string name_;
  uint64_t consumer_sequence_ = 0;
  MonotonicClock::time_point heard_at_;
};

OrderedConsumer::OrderedConsumer(Connection& connection, StreamSink& sink, Options options)
    : connection_(connection),
      sink_(sink),
      options_(std::move(options)),
      thread_([this](std::stop_token stop) { Run(stop); }) {}

OrderedConsumer::~OrderedConsumer() {
  thread_.request_stop();
  thread_.join();
}

void OrderedConsumer::Run(std::stop_token stop) {
  std::mutex mu;
  std::condition_variable_any stopped;
  uint64_t next = options_.start_sequence;
  absl::Duration wait = kFirstRetryWait;
  while (!stop.stop_requested()) {
    Session session(connection_, options_);
    absl::Status doubt = session.Open(next);
    if (doubt.ok()) {
      wait = kFirstRetryWait;
      sink_.OnUp();
      while (doubt.ok() && !stop.stop_requested()) doubt = session.Take(sink_, next);
    }
    if (stop.stop_requested()) return;
    sink_.OnDown(doubt);
    std::unique_lock lock(mu);
    stopped.wait_for(lock, stop, absl::ToChronoMilliseconds(wait), [] { return false; });
    wait = std::min(wait * 2, options_.max_retry_wait);
  }
}

}  // namespace coder::jetstream
