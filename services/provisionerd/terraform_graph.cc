#include "services/provisionerd/terraform_graph.h"

#include <deque>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"

namespace coder::provisionerd {
namespace {

// The next quoted string of a DOT line, unescaped; nothing at the end.
std::optional<std::string> NextQuoted(std::string_view& line) {
  const std::size_t open = line.find('"');
  if (open == std::string_view::npos) return std::nullopt;
  std::string text;
  for (std::size_t i = open + 1; i < line.size(); ++i) {
    if (line[i] == '"') {
      line.remove_prefix(i + 1);
      return text;
    }
    if (line[i] == '\\' && i + 1 < line.size()) ++i;
    text += line[i];
  }
  return std::nullopt;
}

// The address a node stands for; empty for nodes that carry no use of one resource by another.
// Edges between destroy nodes point the other way.
std::string AddressOf(std::string node) {
  if (node.rfind("[root] ", 0) == 0) node.erase(0, 7);
  if (node == "root" || absl::StrContains(node, "provider[") ||
      absl::StrContains(node, "(destroy") || absl::StrContains(node, "(close)")) {
    return "";
  }
  if (const std::size_t note = node.rfind(" ("); note != std::string::npos) node.erase(note);
  return ConfigurationAddress(node);
}

}  // namespace

std::string ConfigurationAddress(std::string_view address) {
  std::string plain;
  bool in_key = false, in_quotes = false;
  for (std::size_t i = 0; i < address.size(); ++i) {
    const char c = address[i];
    if (in_quotes) {
      if (c == '\\') ++i;
      if (c == '"') in_quotes = false;
    } else if (in_key) {
      if (c == '"') in_quotes = true;
      if (c == ']') in_key = false;
    } else if (c == '[') {
      in_key = true;
    } else {
      plain += c;
    }
  }
  return plain;
}

TerraformGraph TerraformGraph::Parse(std::string_view dot) {
  TerraformGraph graph;
  while (!dot.empty()) {
    const std::size_t end = dot.find('\n');
    std::string_view line = dot.substr(0, end);
    dot.remove_prefix(end == std::string_view::npos ? dot.size() : end + 1);
    if (line.find("\" -> \"") == std::string_view::npos) continue;
    const std::optional<std::string> from = NextQuoted(line);
    const std::optional<std::string> to = NextQuoted(line);
    if (!from || !to) continue;
    const std::string user = AddressOf(*from), used = AddressOf(*to);
    if (user.empty() || used.empty() || user == used) continue;
    graph.used_[user].insert(used);
    graph.users_[used].insert(user);
  }
  return graph;
}

std::map<std::string, int> TerraformGraph::Steps(const Edges& edges, const std::string& from) {
  std::map<std::string, int> steps;
  std::deque<std::string> next = {from};
  steps[from] = 0;
  while (!next.empty()) {
    const std::string at = next.front();
    next.pop_front();
    const auto it = edges.find(at);
    if (it == edges.end()) continue;
    for (const std::string& neighbour : it->second) {
      if (steps.emplace(neighbour, steps[at] + 1).second) next.push_back(neighbour);
    }
  }
  steps.erase(from);
  return steps;
}

std::map<std::string, int> TerraformGraph::UsersOf(const std::string& address) const {
  return Steps(users_, address);
}

std::map<std::string, int> TerraformGraph::UsedBy(const std::string& address) const {
  return Steps(used_, address);
}

}  // namespace coder::provisionerd
