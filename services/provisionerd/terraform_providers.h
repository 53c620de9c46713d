#pragma once

#include <string>

namespace coder::provisionerd {

// Whether every provider that `state` (JSON, or empty) has resources of is installed below
// `data_dir`. A state may need one that its next template version no longer names.
bool HasProvidersOf(const std::string& state, const std::string& data_dir);

}  // namespace coder::provisionerd
