#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

/// Evaluates an expression of type absl::Status and returns it from the enclosing function unless
/// it is OK.
#define RETURN_IF_ERROR(expr)                                       \
  do {                                                              \
    if (::absl::Status status_or_ok = (expr); !status_or_ok.ok()) { \
      return status_or_ok;                                          \
    }                                                               \
  } while (false)

/// Evaluates an expression of type absl::StatusOr<T>; returns its status from the enclosing
/// function unless it is OK, and moves its value into `lhs`, which may be a declaration.
#define ASSIGN_OR_RETURN(lhs, expr) \
  STATUS_MACROS_ASSIGN_OR_RETURN_(STATUS_MACROS_CONCAT_(status_or_value_, __LINE__), lhs, expr)

// `value` is a name and `lhs` may be a declaration: neither can stand in parentheses.
// NOLINTBEGIN(bugprone-macro-parentheses)
#define STATUS_MACROS_ASSIGN_OR_RETURN_(value, lhs, expr) \
  auto value = (expr);                                    \
  if (!value.ok()) return std::move(value).status();      \
  lhs = *std::move(value)
// NOLINTEND(bugprone-macro-parentheses)

#define STATUS_MACROS_CONCAT_(a, b) STATUS_MACROS_CONCAT_INNER_(a, b)
#define STATUS_MACROS_CONCAT_INNER_(a, b) a##b
