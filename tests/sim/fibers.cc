#include "tests/sim/fibers.h"

#include <algorithm>
#include <utility>

namespace coder::sim {
namespace {

constexpr size_t kStackBytes = size_t{256} << 10;
constexpr uint64_t kDigestPrime = 0x100000001b3;

// Stacks outlive the runs that use them: a fresh one costs more than most runs' work.
std::vector<std::unique_ptr<char[]>>& FreeStacks() {
  static std::vector<std::unique_ptr<char[]>> stacks;
  return stacks;
}

}  // namespace

Fibers* Fibers::switching_ = nullptr;

Fibers::~Fibers() {
  Finish();
  for (auto& fiber : fibers_) FreeStacks().push_back(std::move(fiber->stack));
}

size_t Fibers::Spawn(std::function<void()> body) {
  auto fiber = std::make_unique<Fiber>();
  fiber->body = std::move(body);
  if (FreeStacks().empty()) {
    fiber->stack.reset(new char[kStackBytes]);
  } else {
    fiber->stack = std::move(FreeStacks().back());
    FreeStacks().pop_back();
  }
  getcontext(&fiber->context);
  fiber->context.uc_stack.ss_sp = fiber->stack.get();
  fiber->context.uc_stack.ss_size = kStackBytes;
  fiber->context.uc_link = nullptr;
  fiber->due = clock_.MonotonicNow();
  makecontext(&fiber->context, &Fibers::Enter, 0);
  fibers_.push_back(std::move(fiber));
  return fibers_.size() - 1;
}

void Fibers::Enter() {
  Fibers* const self = switching_;
  self->fibers_[self->running_]->body();
  self->fibers_[self->running_]->done = true;
  self->Leave();
}

void Fibers::Leave() { swapcontext(&fibers_[running_]->context, &scheduler_); }

void Fibers::Sleep(const Process& process, absl::Duration duration) {
  if (finishing_) return;
  const absl::Duration now = clock_.MonotonicNow();
  fibers_[running_]->due = std::max(now + duration, process.frozen_until);
  Leave();
}

void Fibers::Park(absl::Duration limit) {
  if (finishing_) return;
  fibers_[running_]->due = clock_.MonotonicNow() + limit;
  Leave();
}

void Fibers::Wake(size_t fiber) {
  fibers_[fiber]->due = std::min(fibers_[fiber]->due, clock_.MonotonicNow());
}

void Fibers::RunOne(size_t fiber) {
  ++switches_;
  const auto now = static_cast<uint64_t>(absl::ToInt64Microseconds(clock_.MonotonicNow()));
  digest_ = (digest_ ^ fiber ^ now << 8) * kDigestPrime;
  running_ = fiber;
  switching_ = this;
  swapcontext(&scheduler_, &fibers_[fiber]->context);
}

void Fibers::RunUntil(absl::Duration end) {
  std::vector<size_t> ready;
  while (clock_.MonotonicNow() < end) {
    const absl::Duration now = clock_.MonotonicNow();
    absl::Duration next = end;
    ready.clear();
    for (size_t i = 0; i < fibers_.size(); ++i) {
      if (fibers_[i]->done) continue;
      if (fibers_[i]->due <= now) ready.push_back(i);
      next = std::min(next, fibers_[i]->due);
    }
    if (ready.empty()) {
      clock_.Advance(next - now);
    } else {
      RunOne(ready[static_cast<size_t>(random_.Below(static_cast<int64_t>(ready.size())))]);
    }
  }
}

void Fibers::Finish() {
  finishing_ = true;
  for (size_t i = 0; i < fibers_.size(); ++i) {
    while (!fibers_[i]->done) RunOne(i);
  }
}

}  // namespace coder::sim
