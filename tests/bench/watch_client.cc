// Many watches from one process; the same for the suite and for the baseline.
//
//   watch_client --address=HOST:PORT --watches=N --connections=C --events=M
//
// Reads M events on each stream, parses all of them and checks that each is the one that belongs
// there. --check=dense: at its position, without a hole; --check=same: always the first.
// --after=P: resumes after position P; --epoch=E. --head=H --oldest=A: the first stream resumes A
// events before the head H, half of all no more than A/2N before it; each reads up to the head.
// --stalled=S: so many streams more that never read. --commits=FILE: compares the arrivals with the
// times write_events left there. CODER_TOKEN is the bearer token.
//
// Prints {"ready": N} when every stream got its first message, then the result as one line. With
// --events=0, or --stay=1, it then waits for the end of its standard input.

#include <grpcpp/grpcpp.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "coder/api/v1/watch.grpc.pb.h"
#include "libs/clock/system_clock.h"
#include "libs/events/resume_token.h"
#include "tests/bench/arguments.h"
#include "tests/bench/bench_events.h"

namespace coder::bench {
namespace {

namespace v1 = coder::api::v1;
using Response = v1::WatchAllWorkspaceBuildsResponse;

struct Terms {
  bool dense = true;
  bool keep_arrivals = false;
  int64_t epoch = 1;
  v1::WatchAllWorkspaceBuildsRequest request;
  std::string token;
};

// What one stream is to read.
struct Part {
  // Negative: from now on.
  int64_t after = -1;
  int64_t events = 0;
};

// What all streams together have come to.
class Tally {
 public:
  void Ready() { Count(ready_); }
  void Complete() { Count(complete_); }
  void Fail(const std::string& why) {
    std::lock_guard lock(mutex_);
    if (failure_.empty()) failure_ = why;
    changed_.notify_all();
  }
  // Waits until every one of `streams` is; false when one failed.
  bool AwaitReady(int64_t streams) { return Await(ready_, streams); }
  bool AwaitComplete(int64_t streams) { return Await(complete_, streams); }
  std::string failure() {
    std::lock_guard lock(mutex_);
    return failure_;
  }

 private:
  void Count(int64_t& number) {
    std::lock_guard lock(mutex_);
    ++number;
    changed_.notify_all();
  }
  bool Await(const int64_t& number, int64_t wanted) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return number >= wanted || !failure_.empty(); });
    return failure_.empty();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  int64_t ready_ = 0;
  int64_t complete_ = 0;
  std::string failure_;
};

class Stream : public grpc::ClientReadReactor<Response> {
 public:
  Stream(v1::WatchService::Stub& stub, const Terms& terms, Tally& tally, Part part, bool reads)
      : terms_(terms),
        tally_(tally),
        events_wanted_(part.events),
        position_(part.after),
        reads_(reads),
        request_(terms.request) {
    if (!terms.token.empty()) context_.AddMetadata("authorization", "Bearer " + terms.token);
    if (part.after >= 0 && terms.dense) {
      request_.set_resume_token(events::EncodeResumeToken(TokenAfter(terms.epoch, part.after)));
    }
    stub.async()->WatchAllWorkspaceBuilds(&context_, &request_, this);
    // Held open for the cancel from outside.
    AddHold();
    StartRead(&response_);
    StartCall();
  }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    ++messages_;
    if (!is_ready_) {
      is_ready_ = true;
      tally_.Ready();
      if (events_wanted_ == 0) tally_.Complete();
    }
    for (const auto& watched : response_.events()) Take(watched);
    if (is_complete_ || !reads_) return;
    StartRead(&response_);
  }

  void OnDone(const grpc::Status& status) override {
    if (!is_ended_ && reads_) tally_.Fail("a stream ended: " + status.error_message());
    std::lock_guard lock(mutex_);
    is_done_ = true;
    done_.notify_all();
  }

  // Cancels and waits for the end.
  void End() {
    is_ended_ = true;
    context_.TryCancel();
    RemoveHold();
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return is_done_; });
  }

  int64_t messages() const { return messages_; }
  int64_t events() const { return events_; }
  const std::vector<int64_t>& arrivals() const { return arrivals_; }

 private:
  void Take(const v1::WatchedBuildEvent& watched) {
    if (is_complete_) return;
    const int64_t expected = terms_.dense ? position_ + 1 : 1;
    const bool first_of_live = terms_.dense && position_ < 0;
    if ((watched.position() != expected && !first_of_live) ||
        !Belongs(watched.event(), watched.position())) {
      tally_.Fail("position " + std::to_string(watched.position()) + " came instead of " +
                  std::to_string(expected));
      return;
    }
    position_ = watched.position();
    ++events_;
    if (terms_.keep_arrivals) arrivals_.push_back(absl::ToUnixNanos(clock_.Now()));
    if (events_ != events_wanted_) return;
    is_complete_ = true;
    tally_.Complete();
  }

  const Terms& terms_;
  Tally& tally_;
  const int64_t events_wanted_;
  const clock::SystemClock clock_;
  grpc::ClientContext context_;
  Response response_;
  int64_t position_;
  const bool reads_;
  v1::WatchAllWorkspaceBuildsRequest request_;
  int64_t messages_ = 0;
  int64_t events_ = 0;
  bool is_ready_ = false;
  bool is_complete_ = false;
  std::vector<int64_t> arrivals_;
  std::atomic<bool> is_ended_ = false;
  std::mutex mutex_;
  std::condition_variable done_;
  bool is_done_ = false;
};

std::vector<std::unique_ptr<v1::WatchService::Stub>> Connect(const std::string& address,
                                                             int64_t connections) {
  std::vector<std::unique_ptr<v1::WatchService::Stub>> stubs;
  for (int64_t i = 0; i < connections; ++i) {
    grpc::ChannelArguments arguments;
    // Channels of equal arguments would share one connection.
    arguments.SetInt("bench.connection", static_cast<int>(i));
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    stubs.push_back(v1::WatchService::NewStub(
        grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments)));
  }
  return stubs;
}

// The parts of streams that left at different times: stream `i` of `watches` is behind by
// oldest * (1/u - 1) / (2 * watches - 1) events, where u runs evenly from 0 to 1.
Part PartOf(int64_t i, int64_t watches, int64_t head, int64_t oldest) {
  const double u = (static_cast<double>(i) + 0.5) / static_cast<double>(watches);
  const double share = (1 / u - 1) / (2 * static_cast<double>(watches) - 1);
  const auto behind = static_cast<int64_t>(share * static_cast<double>(oldest));
  return {.after = head - behind, .events = behind};
}

double Percentile(const std::vector<double>& sorted, double share) {
  if (sorted.empty()) return 0;
  return sorted[std::min(sorted.size() - 1, static_cast<size_t>(share * sorted.size()))];
}

// Seconds from commit to arrival of every event at every stream, sorted.
std::vector<double> Delays(const std::string& path,
                           const std::vector<std::unique_ptr<Stream>>& streams, size_t events) {
  std::vector<int64_t> commits(events);
  std::ifstream file(path, std::ios::binary);
  file.read(reinterpret_cast<char*>(commits.data()),
            static_cast<std::streamsize>(events * sizeof(int64_t)));
  std::vector<double> delays;
  if (!file) return delays;
  for (const auto& stream : streams) {
    for (size_t i = 0; i < stream->arrivals().size(); ++i) {
      delays.push_back(static_cast<double>(stream->arrivals()[i] - commits[i]) / 1e9);
    }
  }
  std::sort(delays.begin(), delays.end());
  return delays;
}

void AwaitEndOfInput() {
  while (std::getchar() != EOF) {
  }
}

int Run(const Arguments& arguments) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  const clock::SystemClock clock;
  const int64_t watches = arguments.Number("watches", 1);
  const int64_t stalled = arguments.Number("stalled");
  const std::string commits = arguments.Text("commits");
  const int64_t oldest = arguments.Number("oldest", -1);
  const Part same{.after = arguments.Number("after", -1), .events = arguments.Number("events")};
  Terms terms{.dense = arguments.Text("check", "dense") == "dense",
              .keep_arrivals = !commits.empty(),
              .epoch = arguments.Number("epoch", 1)};
  if (const char* token = std::getenv("CODER_TOKEN")) terms.token = token;
  // Quiet streams are to stay quiet while they are measured.
  terms.request.mutable_bookmark_interval()->set_seconds(arguments.Number("bookmark", 600));
  const auto stubs = Connect(arguments.Text("address"), arguments.Number("connections", 1));
  Tally tally;
  const absl::Duration began = clock.MonotonicNow();
  std::vector<std::unique_ptr<Stream>> streams;
  for (int64_t i = 0; i < watches + stalled; ++i) {
    const Part part = oldest < 0 ? same : PartOf(i, watches, arguments.Number("head"), oldest);
    streams.push_back(
        std::make_unique<Stream>(*stubs[i % stubs.size()], terms, tally, part, i < watches));
  }
  bool good = tally.AwaitReady(watches + stalled);
  const absl::Duration ready = clock.MonotonicNow() - began;
  std::printf("{\"ready\": %lld, \"seconds\": %.6f}\n", static_cast<long long>(watches),
              absl::ToDoubleSeconds(ready));
  std::fflush(stdout);
  const bool is_endless = oldest < 0 && same.events == 0;
  if (!is_endless) good = good && tally.AwaitComplete(watches);
  const absl::Duration took = clock.MonotonicNow() - began;
  if (is_endless || arguments.Number("stay") != 0 || !commits.empty()) AwaitEndOfInput();
  for (const auto& stream : streams) stream->End();
  if (!good) {
    std::fprintf(stderr, "watch_client: %s\n", tally.failure().c_str());
    return 1;
  }
  int64_t events = 0;
  int64_t messages = 0;
  for (const auto& stream : streams) {
    events += stream->events();
    messages += stream->messages();
  }
  std::vector<double> delays;
  if (!commits.empty()) delays = Delays(commits, streams, same.events);
  std::printf(
      "{\"events\": %lld, \"messages\": %lld, \"seconds\": %.6f, \"p50\": %.6f, \"p99\": %.6f}\n",
      static_cast<long long>(events), static_cast<long long>(messages), absl::ToDoubleSeconds(took),
      Percentile(delays, 0.5), Percentile(delays, 0.99));
  return 0;
}

}  // namespace
}  // namespace coder::bench

int main(int argc, char** argv) { return coder::bench::Run(coder::bench::Arguments(argc, argv)); }
