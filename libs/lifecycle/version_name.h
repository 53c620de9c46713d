#pragma once

#include <cstdint>
#include <string>

namespace coder::lifecycle {

/// A name for a template version nobody named: "adjective_animalNN", such as "quiet_heron42", which
/// CheckVersionName accepts. The same `random` gives the same name; there are about 100,000.
std::string MakeVersionName(uint64_t random);

}  // namespace coder::lifecycle
