#include "cli/coderctl/scaletest/crew.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace coder::cli::scaletest {

void ForEach(int count, int workers, const std::stop_token& stop,
             const std::function<void(int)>& work) {
  std::atomic<int> next = 0;
  std::vector<std::jthread> crew;
  for (int i = 0; i < std::min(count, workers); ++i) {
    crew.emplace_back([&] {
      for (int index = next++; index < count && !stop.stop_requested(); index = next++) {
        work(index);
      }
    });
  }
}

}  // namespace coder::cli::scaletest
