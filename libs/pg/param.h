#pragma once

#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace coder::pg {

/// Bytes for a bytea parameter; a plain string is text.
struct Bytea {
  std::string bytes;
  friend bool operator==(const Bytea&, const Bytea&) = default;
};

/// The value of one `$n`. The server infers its type from the statement, so one string serves text,
/// uuid, jsonb and enum columns alike; where inference has nothing to go by, cast in SQL
/// (`$1::text`). Times are cut to microseconds, PostgreSQL's resolution. A value.
class Param {
 public:
  Param(std::nullopt_t) {}
  Param(bool value) : text_(value ? "t" : "f") {}
  Param(double value);
  Param(std::string value) : text_(std::move(value)) {}
  Param(std::string_view value) : text_(value) {}
  Param(absl::string_view value) : text_(std::string(value)) {}
  Param(const char* value) : text_(value) {}
  Param(Bytea value) : text_(std::move(value.bytes)), binary_(true) {}
  /// For timestamptz; infinite times are PostgreSQL's infinity.
  Param(absl::Time value);
  /// For interval; must be finite.
  Param(absl::Duration value);

  template <std::integral T>
  requires(!std::same_as<T, bool> && !std::same_as<T, char>) Param(T value)
      : text_(absl::StrCat(value)) {}

  /// NULL when empty.
  template <typename T>
  Param(std::optional<T> value) {
    if (value) *this = Param(*std::move(value));
  }

  /// An array, for `= ANY($1)` and unnest; elements may be std::optional.
  template <typename T>
  Param(const std::vector<T>& values) : text_("{") {
    for (const auto& value : values) AppendElement(Param(static_cast<const T&>(value)));
    text_->push_back('}');
  }

  bool is_null() const { return !text_; }

  /// Whether the bytes go to the server as they are (bytea) and not as text.
  bool binary() const { return binary_; }

  /// What is sent; empty for NULL.
  const std::string& bytes() const;

  /// False for text with a zero byte, which PostgreSQL cannot hold.
  bool valid() const;

 private:
  void AppendElement(const Param& element);

  std::optional<std::string> text_;
  bool binary_ = false;
};

/// How long the server keeps the plan of a statement.
enum class Plan {
  /// As long as the session: for statements that find a row or few. Nothing is planned again, so
  /// such a plan is as good as what the tables held when it was made.
  kKept,
  /// For this run only, knowing its parameters: for statements over a whole batch, whose planning
  /// costs little beside what they read. A plan kept from when a table was empty would read all of
  /// that table for each element of the batch.
  kFresh,
};

/// One statement and its parameters.
struct Query {
  std::string sql;
  std::vector<Param> params;
  Plan plan = Plan::kKept;
};

}  // namespace coder::pg
