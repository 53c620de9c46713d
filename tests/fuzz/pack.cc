#include "libs/events/pack.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "libs/events/watch_filter.h"
#include "tests/fuzz/requirement.h"

namespace coder::fuzz {
namespace {

bool Inside(std::string_view part, const std::string& whole) {
  return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

bool SameKeys(const events::EventKeys& a, const events::EventKeys& b) {
  return a.organization_id == b.organization_id && a.owner_id == b.owner_id &&
         a.template_id == b.template_id && a.workspace_id == b.workspace_id &&
         a.workspace_version == b.workspace_version && a.transition == b.transition &&
         a.job_status == b.job_status && a.reason == b.reason;
}

// A slice is an entry by itself: alone in a pack it reads the same.
void CheckAlone(const events::EventSlice& slice) {
  const auto alone =
      events::Pack::Read({.first_position = 1, .last_position = 1}, std::string(slice.framed));
  Require(alone->at(1).readable == slice.readable, "a slice alone is as readable");
  Require(SameKeys(alone->at(1).keys, slice.keys), "a slice alone has the same keys");
  Require(events::EventId(alone->at(1)) == events::EventId(slice), "a slice keeps its name");
}

// The sets that name just this event admit it, and none that names another does.
void CheckSelection(const events::EventKeys& keys) {
  const std::string workspace(keys.workspace_id);
  events::WatchFilter filter = {.workspace_ids = {workspace}, .transitions = {keys.transition}};
  Require(filter.Admits(keys), "a filter that names the event admits it");
  filter.reasons = {keys.reason + (keys.reason == INT32_MAX ? -1 : 1)};
  Require(!filter.Admits(keys), "a filter that names another reason does not");
  const events::WatchRights own = {.owner_id = std::string(keys.owner_id),
                                   .owner_organization_ids = {std::string(keys.organization_id)}};
  Require(own.Admits(keys) == !keys.owner_id.empty(), "an owner sees the own event");
  Require(!events::WatchRights().Admits(keys), "no right admits nothing");
}

}  // namespace
}  // namespace coder::fuzz

// The first byte says how many events the pack is said to hold.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace coder;
  if (size == 0) return 0;
  const int64_t count = 1 + data[0] % 64;
  const auto pack =
      events::Pack::Read({.epoch = 1, .first_position = 7, .last_position = 6 + count},
                         std::string(reinterpret_cast<const char*>(data) + 1, size - 1));
  fuzz::Require(pack->events().size() == static_cast<size_t>(count), "every position has a slice");
  for (const events::EventSlice& slice : pack->events()) {
    if (slice.framed.empty()) {
      fuzz::Require(!slice.readable, "what is missing is not readable");
      continue;
    }
    fuzz::Require(fuzz::Inside(slice.framed, pack->payload()), "a slice lies in its pack");
    fuzz::CheckAlone(slice);
    if (slice.readable) fuzz::CheckSelection(slice.keys);
  }
  return 0;
}
