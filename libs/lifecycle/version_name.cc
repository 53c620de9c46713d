#include "libs/lifecycle/version_name.h"

#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace coder::lifecycle {
namespace {

constexpr absl::string_view kAdjectives[] = {
    "amber", "brave",   "bright", "calm",   "clever", "crisp",  "eager",  "early",
    "fair",  "fleet",   "fresh",  "gentle", "glad",   "golden", "grand",  "happy",
    "keen",  "kind",    "lively", "lucid",  "mellow", "merry",  "modest", "neat",
    "noble", "patient", "quick",  "quiet",  "ready",  "silver", "steady", "sunny"};

constexpr absl::string_view kAnimals[] = {
    "badger", "beaver", "bison",  "crane", "dolphin", "eagle",  "falcon", "ferret",
    "finch",  "fox",    "gecko",  "heron", "ibex",    "jackal", "koala",  "lemur",
    "lynx",   "marten", "mole",   "moose", "newt",    "otter",  "owl",    "panda",
    "puffin", "raven",  "salmon", "seal",  "stork",   "tapir",  "turtle", "wombat"};

constexpr uint64_t kNumbers = 100;

}  // namespace

std::string MakeVersionName(uint64_t random) {
  const uint64_t number = random % kNumbers;
  random /= kNumbers;
  const absl::string_view adjective = kAdjectives[random % std::size(kAdjectives)];
  random /= std::size(kAdjectives);
  return absl::StrCat(adjective, "_", kAnimals[random % std::size(kAnimals)], number);
}

}  // namespace coder::lifecycle
