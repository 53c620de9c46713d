#include "libs/lifecycle/proposal.h"

#include <cstddef>
#include <iterator>

namespace coder::lifecycle {
namespace {

constexpr absl::string_view kOutcomes[] = {"applied", "skipped", "missed", "not_due"};

}  // namespace

absl::string_view ToString(LifecycleOutcome outcome) {
  const auto index = static_cast<size_t>(outcome);
  return index < std::size(kOutcomes) ? kOutcomes[index] : "unknown";
}

}  // namespace coder::lifecycle
