#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "absl/strings/numbers.h"

namespace coder::bench {

// The `--name=value` arguments of a benchmark's program, which only the orchestrator writes.
class Arguments {
 public:
  Arguments(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
      const std::string_view argument(argv[i]);
      const size_t equals = argument.find('=');
      if (argument.substr(0, 2) != "--" || equals == std::string_view::npos) continue;
      values_.emplace(argument.substr(2, equals - 2), argument.substr(equals + 1));
    }
  }

  std::string Text(const std::string& name, std::string absent = "") const {
    const auto found = values_.find(name);
    return found == values_.end() ? std::move(absent) : found->second;
  }

  int64_t Number(const std::string& name, int64_t absent = 0) const {
    int64_t value = absent;
    const auto found = values_.find(name);
    if (found != values_.end() && !absl::SimpleAtoi(found->second, &value)) return absent;
    return value;
  }

 private:
  std::map<std::string, std::string> values_;
};

}  // namespace coder::bench
