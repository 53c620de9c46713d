// The baseline's side of JetStream: nats.c and nothing else.
//
//   raw_stream --mode=publish --events=N --in-flight=K  one event a message, acknowledged
//   raw_stream --mode=consume --events=N                one event a message, from the beginning
//   raw_stream --mode=check   --events=N                reads packs from the beginning: every
//                                                       position once and in order
//   raw_stream --mode=purge
//
// CODER_NATS_URL says where; the stream is made when it is missing.

#include <nats/nats.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/time/time.h"
#include "coder/events/v1/build_event.pb.h"
#include "libs/clock/system_clock.h"
#include "tests/bench/arguments.h"
#include "tests/bench/bench_events.h"

namespace coder::bench {
namespace {

constexpr char kStream[] = "BUILD_EVENTS";
constexpr char kSubject[] = "build.events";

// Ends the program: a baseline that failed has no result.
void Check(natsStatus status, const char* what) {
  if (status == NATS_OK) return;
  std::fprintf(stderr, "raw_stream: %s: %s: %s\n", what, natsStatus_GetText(status),
               nats_GetLastError(nullptr));
  std::exit(1);
}

void Refuse(const char* what, int64_t at) {
  std::fprintf(stderr, "raw_stream: %s at %lld\n", what, static_cast<long long>(at));
  std::exit(1);
}

class RawStream {
 public:
  RawStream(const char* url, int64_t in_flight) {
    natsOptions* options = nullptr;
    Check(natsOptions_Create(&options), "options");
    Check(natsOptions_SetURL(options, url), "address");
    Check(natsConnection_Connect(&connection_, options), "connect");
    natsOptions_Destroy(options);
    jsOptions js;
    jsOptions_Init(&js);
    js.PublishAsync.MaxPending = in_flight;
    js.PublishAsync.StallWait = 10'000;
    js.PublishAsync.ErrHandler = [](jsCtx*, jsPubAckErr*, void* failed) {
      *static_cast<std::atomic<int>*>(failed) += 1;
    };
    js.PublishAsync.ErrHandlerClosure = &failed_;
    Check(natsConnection_JetStream(&js_, connection_, &js), "jetstream");
  }

  // As JetstreamAdmin keeps it.
  void Ensure() {
    const char* subjects[] = {kSubject};
    jsStreamConfig config;
    jsStreamConfig_Init(&config);
    config.Name = kStream;
    config.Subjects = subjects;
    config.SubjectsLen = 1;
    config.Storage = js_FileStorage;
    config.Discard = js_DiscardOld;
    config.MaxBytes = int64_t{1} << 30;
    config.MaxAge = absl::ToInt64Nanoseconds(absl::Hours(24));
    config.Duplicates = absl::ToInt64Nanoseconds(absl::Seconds(1));
    if (js_GetStreamInfo(nullptr, js_, kStream, nullptr, nullptr) == NATS_OK) return;
    Check(js_AddStream(nullptr, js_, &config, nullptr, nullptr), "add stream");
  }

  void Purge() { Check(js_PurgeStream(js_, kStream, nullptr, nullptr), "purge"); }

  double Publish(int64_t events) {
    std::vector<std::string> payloads;
    payloads.reserve(events);
    for (int64_t i = 0; i < events; ++i) payloads.push_back(MakeEvent(i, clock_.Now()));
    const absl::Duration began = clock_.MonotonicNow();
    for (const std::string& payload : payloads) {
      Check(
          js_PublishAsync(js_, kSubject, payload.data(), static_cast<int>(payload.size()), nullptr),
          "publish");
    }
    jsPubOptions wait;
    jsPubOptions_Init(&wait);
    wait.MaxWait = 60'000;
    Check(js_PublishAsyncComplete(js_, &wait), "await acknowledgements");
    const absl::Duration took = clock_.MonotonicNow() - began;
    if (failed_ != 0) Refuse("messages were refused", failed_);
    jsStreamInfo* info = nullptr;
    Check(js_GetStreamInfo(&info, js_, kStream, nullptr, nullptr), "look");
    const auto held = static_cast<int64_t>(info->State.Msgs);
    jsStreamInfo_Destroy(info);
    if (held != events) Refuse("the stream holds another number of messages", held);
    return absl::ToDoubleSeconds(took);
  }

  // Reads until position `events`; `packs`: messages hold many events, else one.
  double Consume(int64_t events, bool packs) {
    jsSubOptions options;
    jsSubOptions_Init(&options);
    options.Stream = kStream;
    options.Ordered = true;
    natsSubscription* subscription = nullptr;
    const absl::Duration began = clock_.MonotonicNow();
    Check(js_SubscribeSync(&subscription, js_, kSubject, nullptr, &options, nullptr), "subscribe");
    Check(natsSubscription_SetPendingLimits(subscription, -1, -1), "limits");
    coder::events::v1::BuildEvent event;
    coder::events::v1::BuildEventPack pack;
    for (int64_t position = 0; position < events;) {
      natsMsg* message = nullptr;
      Check(natsSubscription_NextMsg(&message, subscription, 10'000), "next message");
      const char* data = natsMsg_GetData(message);
      const int size = natsMsg_GetDataLength(message);
      if (!packs) {
        if (!event.ParseFromArray(data, size) || !Belongs(event, ++position)) {
          Refuse("a foreign event", position);
        }
      } else {
        if (!pack.ParseFromArray(data, size)) Refuse("an unreadable pack", position);
        for (const auto& packed : pack.events()) {
          if (!Belongs(packed, ++position)) Refuse("a foreign event", position);
        }
      }
      natsMsg_Destroy(message);
    }
    const absl::Duration took = clock_.MonotonicNow() - began;
    natsSubscription_Destroy(subscription);
    return absl::ToDoubleSeconds(took);
  }

 private:
  const clock::SystemClock clock_;
  natsConnection* connection_ = nullptr;
  jsCtx* js_ = nullptr;
  std::atomic<int> failed_ = 0;
};

int Run(const Arguments& arguments) {
  const char* url = std::getenv("CODER_NATS_URL");
  if (url == nullptr) Refuse("CODER_NATS_URL is not set", 0);
  const std::string mode = arguments.Text("mode");
  const int64_t events = arguments.Number("events");
  RawStream stream(url, arguments.Number("in-flight", 4096));
  double seconds = 0;
  if (mode == "publish") stream.Ensure();
  if (mode == "publish" || mode == "purge") stream.Purge();
  if (mode == "publish") seconds = stream.Publish(events);
  if (mode == "consume") seconds = stream.Consume(events, false);
  if (mode == "check") seconds = stream.Consume(events, true);
  std::printf("{\"events\": %lld, \"seconds\": %.6f}\n", static_cast<long long>(events), seconds);
  return 0;
}

}  // namespace
}  // namespace coder::bench

int main(int argc, char** argv) { return coder::bench::Run(coder::bench::Arguments(argc, argv)); }
