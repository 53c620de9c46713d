#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/pg/connect_options.h"

namespace coder::pg {

/// ConnectOptions as libpq's null-terminated keyword and value arrays. Defaults come first and the
/// conninfo string last, because libpq lets the last one win. A value.
class SessionParameters {
 public:
  /// INVALID_ARGUMENT when libpq cannot parse the conninfo.
  static absl::StatusOr<SessionParameters> From(const ConnectOptions& options);

  // The pointers point into the parameters; a move keeps both where they are, a copy would not.
  SessionParameters(SessionParameters&&) = default;
  SessionParameters& operator=(SessionParameters&&) = default;

  const char* const* keywords() const { return keyword_pointers_.data(); }
  const char* const* values() const { return value_pointers_.data(); }

 private:
  struct Parameter {
    std::string keyword;
    std::string value;
  };

  explicit SessionParameters(std::vector<Parameter> parameters);

  std::vector<Parameter> parameters_;
  std::vector<const char*> keyword_pointers_;
  std::vector<const char*> value_pointers_;
};

}  // namespace coder::pg
