#include "services/provisionerd/terraform_providers.h"

#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/provisionerd/json_fields.h"

namespace coder::provisionerd {
namespace {

// Of `module.x.provider["registry.opentofu.org/hashicorp/null"].alias`; empty if it reads
// otherwise.
std::string AddressOf(const std::string& provider) {
  const std::size_t begin = provider.find("[\"");
  const std::size_t end = provider.find("\"]");
  if (begin == std::string::npos || end == std::string::npos || end < begin + 2) return "";
  return provider.substr(begin + 2, end - begin - 2);
}

}  // namespace

bool HasProvidersOf(const std::string& state, const std::string& data_dir) {
  if (state.empty()) return true;
  const Json parsed = Json::parse(state, nullptr, /*allow_exceptions=*/false);
  for (const Json& resource : List(parsed, "resources")) {
    const std::string address = AddressOf(Text(resource, "provider"));
    if (absl::StartsWith(address, "terraform.io/builtin/")) continue;
    if (address.empty() ||
        ::access(absl::StrCat(data_dir, "/providers/", address).c_str(), F_OK) != 0) {
      return false;
    }
  }
  return true;
}

}  // namespace coder::provisionerd
