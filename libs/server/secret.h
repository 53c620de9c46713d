#pragma once

#include <ostream>
#include <string>
#include <utility>

namespace coder::server {

// A string that must never reach a log, a page or an error: a password, a token, a connection
// string with credentials. It prints as "***"; only Reveal() gives the text away, so every place
// that uses one can be found by that word. A plain value: copy it freely, guard it as any string.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string text) : text_(std::move(text)) {}

  const std::string& Reveal() const { return text_; }
  bool empty() const { return text_.empty(); }

  friend std::ostream& operator<<(std::ostream& out, const Secret&) { return out << "***"; }

 private:
  std::string text_;
};

}  // namespace coder::server
