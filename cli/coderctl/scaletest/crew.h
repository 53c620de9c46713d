#pragma once

#include <functional>
#include <stop_token>

namespace coder::cli::scaletest {

/// Calls `work` with each number from 0 to `count` - 1, each once, on up to `workers` threads, and
/// returns when all calls have. After a stop no new one begins.
void ForEach(int count, int workers, const std::stop_token& stop,
             const std::function<void(int)>& work);

}  // namespace coder::cli::scaletest
