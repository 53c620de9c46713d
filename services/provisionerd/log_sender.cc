#include "services/provisionerd/log_sender.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/clock/deadline.h"
#include "libs/failpoint/failpoint.h"
#include "libs/server/log.h"

namespace coder::provisionerd {
namespace {

constexpr absl::Duration kFlushInterval = absl::Milliseconds(200);
constexpr size_t kMaxWaiting = 4096;
// With 1 KiB a line a full batch stays below the 256 KiB a request may measure.
constexpr size_t kMaxBatch = 200;

}  // namespace

LogSender::LogSender(JobClient& client, clock::Clock& clock, Lease lease)
    : client_(client),
      clock_(clock),
      lease_(std::move(lease)),
      thread_([this](std::stop_token stop) { Run(std::move(stop)); }) {}

LogSender::~LogSender() { Close(absl::ZeroDuration()); }

void LogSender::Add(const EngineLogLine& line) {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  if (waiting_.size() >= kMaxWaiting) {
    ++dropped_;
    return;
  }
  if (dropped_ > 0) {
    waiting_.push_back(
        {clock_.Now(),
         {line.stage, LogLevel::kWarn, LogSource::kProvisionerDaemon,
          absl::StrCat(dropped_,
                       " log lines were dropped: they came faster than they could be sent")}});
    dropped_ = 0;
  }
  waiting_.push_back({clock_.Now(), line});
}

void LogSender::Say(const std::string& stage, LogLevel level, const std::string& text) {
  Add({stage, level, LogSource::kProvisionerDaemon, text.substr(0, 1024)});
}

bool LogSender::Flush() {
  if (batch_.empty()) {
    const std::lock_guard lock(mutex_);
    const size_t count = std::min(waiting_.size(), kMaxBatch);
    std::move(waiting_.begin(), waiting_.begin() + static_cast<ptrdiff_t>(count),
              std::back_inserter(batch_));
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<ptrdiff_t>(count));
  }
  if (batch_.empty()) return true;
  const absl::StatusOr<bool> overflowed = client_.AppendLogs(lease_, sent_, batch_);
  failpoint::Hit("provisionerd.log_upload");
  const bool final_error = !overflowed.ok() &&
                           overflowed.status().code() != absl::StatusCode::kUnavailable &&
                           overflowed.status().code() != absl::StatusCode::kDeadlineExceeded;
  if (final_error || (overflowed.ok() && *overflowed)) {
    if (final_error) {
      log::Warn("log lines refused", {{"job_id", lease_.job_id}, {"error", overflowed.status()}});
    }
    const std::lock_guard lock(mutex_);
    closed_ = true;
    waiting_.clear();
    batch_.clear();
    return true;
  }
  if (!overflowed.ok()) return false;
  sent_ += static_cast<int64_t>(batch_.size());
  batch_.clear();
  const std::lock_guard lock(mutex_);
  return waiting_.empty();
}

void LogSender::Run(std::stop_token stop) {
  while (clock_.Wait(kFlushInterval, stop)) Flush();
}

void LogSender::Close(absl::Duration budget) {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
  const auto deadline = clock::Deadline::After(budget);
  while (budget > absl::ZeroDuration() && !Flush() && !deadline.Expired()) {
    clock_.Wait(kFlushInterval, std::stop_token());
  }
  const std::lock_guard lock(mutex_);
  closed_ = true;
}

}  // namespace coder::provisionerd
