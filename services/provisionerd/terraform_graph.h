#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace coder::provisionerd {

// Which resource of a template uses which, through locals, variables, outputs and modules: what the
// engine's `graph -type=plan` prints. Addresses are those of the configuration, without instance
// keys ("module.a.docker_container.box").
class TerraformGraph {
 public:
  // Reads the DOT text; lines it does not know are passed over.
  static TerraformGraph Parse(std::string_view dot);

  // For every node that uses `address` directly or through others, the number of steps on the
  // shortest way; 1 for a direct use. Ways through providers and destroys do not count.
  std::map<std::string, int> UsersOf(const std::string& address) const;

  // As UsersOf, the other way around: what `address` uses.
  std::map<std::string, int> UsedBy(const std::string& address) const;

 private:
  using Edges = std::map<std::string, std::set<std::string>>;
  static std::map<std::string, int> Steps(const Edges& edges, const std::string& from);

  Edges users_;
  Edges used_;
};

// The address without instance keys: module.a["x"].null_resource.b[0] is module.a.null_resource.b.
std::string ConfigurationAddress(std::string_view address);

}  // namespace coder::provisionerd
