#include "libs/jetstream/jetstream_publisher.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/failpoint/failpoint.h"
#include "libs/jetstream/nats_status.h"

namespace coder::jetstream {
namespace {

constexpr char kExpectedLastSequence[] = "Nats-Expected-Last-Sequence";
// Says the same and binds nobody: stands in its place when a test has the fence off.
constexpr char kUnfencedSequence[] = "Unfenced-Last-Sequence";
// Not read by anyone else: tells answers to an earlier run from those to this one.
constexpr char kRunHeader[] = "Publish-Run";

const char* SequenceHeader() {
  return failpoint::IsOn("off.fence") ? kUnfencedSequence : kExpectedLastSequence;
}

}  // namespace

// What the publishing thread and the library's answers share.
class JetstreamPublisher::Run {
 public:
  struct Sent {
    uint64_t expected_last_sequence = 0;
    int64_t last_position = 0;
  };

  void Begin(uint64_t last_sequence) {
    std::lock_guard lock(mu_);
    ++number_;
    next_sequence_ = last_sequence;
    sent_.clear();
    progress_ = {.confirmed_sequence = last_sequence};
  }

  // Takes a place in flight; the number of the run and the sequence to expect.
  absl::Status Enter(int64_t max_in_flight, absl::Duration limit, int64_t last_position,
                     uint64_t& number, uint64_t& expected) {
    std::unique_lock lock(mu_);
    const bool room = changed_.wait_for(lock, absl::ToChronoMilliseconds(limit), [&] {
      return !progress_.refusal.ok() || static_cast<int64_t>(sent_.size()) < max_in_flight;
    });
    if (!progress_.refusal.ok()) return progress_.refusal;
    if (!room) {
      return absl::DeadlineExceededError(
          absl::StrCat("publish position ", last_position, ": ", sent_.size(),
                       " messages are not answered; wait for the stream"));
    }
    number = number_;
    expected = next_sequence_++;
    sent_.push_back({.expected_last_sequence = expected, .last_position = last_position});
    return absl::OkStatus();
  }

  void Answer(uint64_t number, uint64_t expected, const jsPubAck* ack, const jsPubAckErr* refusal) {
    std::lock_guard lock(mu_);
    if (number != number_ || !progress_.refusal.ok()) return;
    if (refusal) {
      RefuseLocked(ToStatus(refusal->Err, refusal->ErrCode,
                            absl::StrCat("publish after sequence ", expected),
                            refusal->ErrText ? refusal->ErrText : ""));
      return;
    }
    const bool in_order = !sent_.empty() && sent_.front().expected_last_sequence == expected &&
                          ack->Sequence == expected + 1;
    if (!in_order) {
      RefuseLocked(absl::AbortedError(
          absl::StrCat("publish after sequence ", expected, ": stored at ", ack->Sequence)));
      return;
    }
    progress_.confirmed_position = sent_.front().last_position;
    progress_.confirmed_sequence = ack->Sequence;
    sent_.pop_front();
    changed_.notify_all();
  }

  absl::Status Refuse(uint64_t number, absl::Status refusal) {
    std::lock_guard lock(mu_);
    if (number == number_ && progress_.refusal.ok()) RefuseLocked(refusal);
    return refusal;
  }

  PublishProgress Await(absl::Duration limit) {
    std::unique_lock lock(mu_);
    changed_.wait_for(lock, absl::ToChronoMilliseconds(limit),
                      [this] { return sent_.empty() || !progress_.refusal.ok(); });
    return ProgressLocked();
  }

  PublishProgress progress() {
    std::lock_guard lock(mu_);
    return ProgressLocked();
  }

  static void OnAnswer(jsCtx*, natsMsg* message, jsPubAck* ack, jsPubAckErr* refusal, void* self) {
    const MessagePtr owned(message);
    uint64_t number = 0;
    uint64_t expected = 0;
    if (absl::SimpleAtoi(HeaderOf(message, kRunHeader), &number) &&
        absl::SimpleAtoi(HeaderOf(message, SequenceHeader()), &expected)) {
      static_cast<Run*>(self)->Answer(number, expected, ack, refusal);
    }
  }

 private:
  void RefuseLocked(absl::Status refusal) {
    progress_.refusal = std::move(refusal);
    sent_.clear();
    changed_.notify_all();
  }

  PublishProgress ProgressLocked() const {
    PublishProgress now = progress_;
    now.in_flight = static_cast<int64_t>(sent_.size());
    return now;
  }

  std::mutex mu_;
  std::condition_variable changed_;
  uint64_t number_ = 0;
  uint64_t next_sequence_ = 0;
  std::deque<Sent> sent_;
  PublishProgress progress_;
};

absl::StatusOr<std::unique_ptr<JetstreamPublisher>> JetstreamPublisher::Create(
    Connection& connection, Options options) {
  std::unique_ptr<JetstreamPublisher> publisher(
      new JetstreamPublisher(connection, std::move(options), std::make_unique<Run>()));
  jsOptions js;
  jsOptions_Init(&js);
  js.PublishAsync.AckHandler = &Run::OnAnswer;
  js.PublishAsync.AckHandlerClosure = publisher->run_.get();
  const natsStatus s = natsConnection_JetStream(&publisher->js_, connection.nats(), &js);
  if (s != NATS_OK) return ToStatus(s, jsErrCode(0), "open jetstream for publishing");
  return publisher;
}

JetstreamPublisher::JetstreamPublisher(Connection& connection, Options options,
                                       std::unique_ptr<Run> run)
    : connection_(connection), options_(std::move(options)), run_(std::move(run)) {}

JetstreamPublisher::~JetstreamPublisher() {
  if (!js_) return;
  // The context must not go while an answer is being handled; every answer comes within its limit.
  jsPubOptions wait;
  jsPubOptions_Init(&wait);
  wait.MaxWait = absl::ToInt64Milliseconds(options_.answer_limit) * 2;
  (void)js_PublishAsyncComplete(js_, &wait);
  jsCtx_Destroy(js_);
}

void JetstreamPublisher::Begin(uint64_t last_sequence) { run_->Begin(last_sequence); }

absl::Status JetstreamPublisher::Publish(const PackHeaders& headers, absl::string_view payload) {
  uint64_t number = 0;
  uint64_t expected = 0;
  absl::Status entered = run_->Enter(options_.max_in_flight, options_.answer_limit,
                                     headers.last_position, number, expected);
  if (!entered.ok()) return entered;
  // The library keeps one message for later however small its buffer; this one is not to be late.
  if (!connection_.connected()) {
    return run_->Refuse(
        number, absl::UnavailableError(
                    absl::StrCat("publish position ", headers.last_position, ": not connected")));
  }
  natsMsg* message = nullptr;
  natsStatus s = natsMsg_Create(&message, options_.subject.c_str(), nullptr, payload.data(),
                                static_cast<int>(payload.size()));
  if (s == NATS_OK) s = WriteHeaders(headers, message);
  // By hand: the library leaves out an expected sequence of 0, which is then not enforced.
  if (s == NATS_OK) {
    s = natsMsgHeader_Set(message, SequenceHeader(), std::to_string(expected).c_str());
  }
  if (s == NATS_OK) s = natsMsgHeader_Set(message, kRunHeader, std::to_string(number).c_str());
  jsPubOptions options;
  jsPubOptions_Init(&options);
  options.MaxWait = absl::ToInt64Milliseconds(options_.answer_limit);
  if (s == NATS_OK) s = js_PublishMsgAsync(js_, &message, &options);
  natsMsg_Destroy(message);
  if (s == NATS_OK) return absl::OkStatus();
  return run_->Refuse(number, ToStatus(s, jsErrCode(0),
                                       absl::StrCat("publish positions ", headers.first_position,
                                                    " to ", headers.last_position)));
}

PublishProgress JetstreamPublisher::Await(absl::Duration limit) { return run_->Await(limit); }

PublishProgress JetstreamPublisher::progress() const { return run_->progress(); }

}  // namespace coder::jetstream
