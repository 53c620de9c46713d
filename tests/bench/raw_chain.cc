// The baseline of the way from commit to watcher, one event at a time: a poke, one durable commit
// that gives the event its position, one publish, one ordered consumer, one write to each stream.
//
//   raw_chain --mode=relay   CODER_POSTGRES_URL, CODER_NATS_URL; needs bench_cursor and bench_log
//   raw_chain --mode=serve   CODER_NATS_URL; prints its port
//
// Both end with their standard input.

#include <grpcpp/grpcpp.h>
#include <nats/nats.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "coder/api/v1/watch.grpc.pb.h"
#include "libs/clock/deadline.h"
#include "libs/pg/connection.h"
#include "tests/bench/arguments.h"

namespace coder::bench {
namespace {

namespace v1 = coder::api::v1;

constexpr char kTake[] = R"sql(
WITH taken AS (
  DELETE FROM outbox WHERE id = (SELECT min(id) FROM outbox) RETURNING payload
), moved AS (
  UPDATE bench_cursor SET head = head + 1 WHERE EXISTS (SELECT FROM taken) RETURNING head
)
INSERT INTO bench_log SELECT m.head, t.payload FROM moved m, taken t RETURNING position, payload)sql";

void Check(natsStatus status, const char* what) {
  if (status == NATS_OK) return;
  std::fprintf(stderr, "raw_chain: %s: %s\n", what, natsStatus_GetText(status));
  std::exit(1);
}

void AwaitEndOfInput() {
  while (std::getchar() != EOF) {
  }
}

natsConnection* Connect() {
  natsOptions* options = nullptr;
  natsConnection* connection = nullptr;
  Check(natsOptions_Create(&options), "options");
  Check(natsOptions_SetURL(options, std::getenv("CODER_NATS_URL")), "address");
  Check(natsOptions_SetSendAsap(options, true), "send at once");
  Check(natsConnection_Connect(&connection, options), "connect");
  natsOptions_Destroy(options);
  return connection;
}

// Takes one event for every poke, in the thread of the subscription.
struct Relay {
  std::unique_ptr<pg::Connection> database;
  jsCtx* js = nullptr;

  static void OnPoke(natsConnection*, natsSubscription*, natsMsg* message, void* closure) {
    natsMsg_Destroy(message);
    static_cast<Relay*>(closure)->MoveOne();
  }

  void MoveOne() {
    const auto rows = database->Execute(kTake, {}, clock::Deadline::After(absl::Seconds(10)));
    if (!rows.ok() || rows->empty()) {
      std::fprintf(stderr, "raw_chain: a poke without an event\n");
      std::exit(1);
    }
    const auto position = (*rows)[0].Get<int64_t>("position");
    const auto payload = (*rows)[0].Get<std::string>("payload");
    std::string message(sizeof position, '\0');
    std::memcpy(message.data(), &position, sizeof position);
    message += payload;
    Check(js_PublishAsync(js, "build.events", message.data(), static_cast<int>(message.size()),
                          nullptr),
          "publish");
  }
};

int RunRelay() {
  Relay relay;
  auto database = pg::Connection::Open({.conninfo = std::getenv("CODER_POSTGRES_URL")});
  if (!database.ok()) {
    std::fprintf(stderr, "raw_chain: %s\n", database.status().ToString().c_str());
    return 1;
  }
  relay.database = *std::move(database);
  natsConnection* connection = Connect();
  Check(natsConnection_JetStream(&relay.js, connection, nullptr), "jetstream");
  natsSubscription* pokes = nullptr;
  Check(natsConnection_Subscribe(&pokes, connection, "outbox.poke", &Relay::OnPoke, &relay),
        "hear pokes");
  Check(natsConnection_FlushTimeout(connection, 2000), "hear pokes");
  std::printf("{}\n");
  std::fflush(stdout);
  AwaitEndOfInput();
  // The subscription's thread may still be at work.
  std::_Exit(0);
}

class ChainReactor;

// Every message so far and the streams that get them, each in order and one at a time.
class Audience {
 public:
  void Remove(ChainReactor* reactor);
  void Say(grpc::ByteBuffer buffer);
  // The message after the first `sent`, or nothing yet.
  grpc::ByteBuffer* Next(ChainReactor* reactor, size_t sent);

 private:
  std::mutex mutex_;
  std::deque<grpc::ByteBuffer> said_;
  std::set<ChainReactor*> idle_;
};

class ChainReactor : public grpc::ServerWriteReactor<grpc::ByteBuffer> {
 public:
  explicit ChainReactor(Audience& audience) : audience_(audience) {
    v1::WatchAllWorkspaceBuildsResponse response;
    response.set_resume_token("0");
    const grpc::Slice slice(response.SerializeAsString());
    first_ = grpc::ByteBuffer(&slice, 1);
    StartWrite(&first_);
  }
  void OnWriteDone(bool ok) override {
    if (!ok) return End();
    if (grpc::ByteBuffer* next = audience_.Next(this, sent_)) Send(next);
  }
  void Send(grpc::ByteBuffer* buffer) {
    ++sent_;
    StartWrite(buffer);
  }
  void OnCancel() override { End(); }
  void OnDone() override {
    audience_.Remove(this);
    delete this;
  }
  size_t sent() const { return sent_; }

 private:
  void End() {
    audience_.Remove(this);
    if (!ended_.exchange(true)) Finish(grpc::Status::CANCELLED);
  }

  Audience& audience_;
  grpc::ByteBuffer first_;
  size_t sent_ = 0;
  std::atomic<bool> ended_ = false;
};

void Audience::Remove(ChainReactor* reactor) {
  std::lock_guard lock(mutex_);
  idle_.erase(reactor);
}

void Audience::Say(grpc::ByteBuffer buffer) {
  std::lock_guard lock(mutex_);
  said_.push_back(std::move(buffer));
  for (ChainReactor* reactor : idle_) reactor->Send(&said_[reactor->sent()]);
  idle_.clear();
}

grpc::ByteBuffer* Audience::Next(ChainReactor* reactor, size_t sent) {
  std::lock_guard lock(mutex_);
  if (sent < said_.size()) return &said_[sent];
  idle_.insert(reactor);
  return nullptr;
}

class ChainService : public v1::WatchService::WithRawCallbackMethod_WatchAllWorkspaceBuilds<
                         v1::WatchService::Service> {
 public:
  explicit ChainService(Audience& audience) : audience_(audience) {}
  grpc::ServerWriteReactor<grpc::ByteBuffer>* WatchAllWorkspaceBuilds(
      grpc::CallbackServerContext*, const grpc::ByteBuffer*) override {
    return new ChainReactor(audience_);
  }

 private:
  Audience& audience_;
};

void OnMessage(natsConnection*, natsSubscription*, natsMsg* message, void* audience) {
  const char* data = natsMsg_GetData(message);
  const int size = natsMsg_GetDataLength(message);
  int64_t position = 0;
  std::memcpy(&position, data, sizeof position);
  coder::events::v1::BuildEventPack pack;
  v1::WatchAllWorkspaceBuildsResponse response;
  if (pack.ParseFromArray(data + sizeof position, size - static_cast<int>(sizeof position))) {
    auto* watched = response.add_events();
    watched->set_position(position);
    watched->mutable_event()->Swap(pack.mutable_events(0));
  }
  response.set_resume_token("0");
  natsMsg_Destroy(message);
  const grpc::Slice slice(response.SerializeAsString());
  static_cast<Audience*>(audience)->Say(grpc::ByteBuffer(&slice, 1));
}

int RunServer() {
  Audience audience;
  ChainService service(audience);
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  natsConnection* connection = Connect();
  jsCtx* js = nullptr;
  Check(natsConnection_JetStream(&js, connection, nullptr), "jetstream");
  jsSubOptions options;
  jsSubOptions_Init(&options);
  options.Stream = "BUILD_EVENTS";
  options.Ordered = true;
  natsSubscription* subscription = nullptr;
  Check(js_Subscribe(&subscription, js, "build.events", &OnMessage, &audience, nullptr, &options,
                     nullptr),
        "subscribe");
  std::printf("{\"port\": %d}\n", port);
  std::fflush(stdout);
  AwaitEndOfInput();
  std::_Exit(0);
}

}  // namespace
}  // namespace coder::bench

int main(int argc, char** argv) {
  const coder::bench::Arguments arguments(argc, argv);
  return arguments.Text("mode") == "relay" ? coder::bench::RunRelay() : coder::bench::RunServer();
}
