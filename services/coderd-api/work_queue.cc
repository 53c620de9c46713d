#include "services/coderd-api/work_queue.h"

#include <utility>

namespace coder::api {

WorkQueue::WorkQueue(int threads, size_t capacity) : capacity_(capacity) {
  for (int i = 0; i < threads; ++i) {
    threads_.emplace_back([this](std::stop_token stop) { Run(std::move(stop)); });
  }
}

WorkQueue::~WorkQueue() {
  for (std::jthread& thread : threads_) thread.request_stop();
  threads_.clear();
}

bool WorkQueue::Post(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    if (tasks_.size() >= capacity_) return false;
    tasks_.push_back(std::move(task));
  }
  posted_.notify_one();
  return true;
}

void WorkQueue::Run(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (true) {
    posted_.wait(lock, stop, [this] { return !tasks_.empty(); });
    if (tasks_.empty()) return;
    std::function<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task();
    task = nullptr;
    lock.lock();
  }
}

}  // namespace coder::api
