#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "libs/pg/param.h"

namespace coder::pg {

/// One value as the server sent it, in binary form. Borrowed from a Result.
struct Cell {
  uint32_t type_oid = 0;
  bool is_null = false;
  std::string_view bytes;
};

/// Each reads a cell that is not NULL and returns false when its SQL type is not one of:
///   bool: boolean; int32_t: int2, int4; int64_t: those and int8; double: float4, float8;
///   std::string: text, varchar, char, name, json, jsonb, enums, uuid (as text), bytea (its bytes);
///   Bytea: bytea; absl::Time: timestamptz, and timestamp taken as UTC;
///   absl::Duration: interval without months, a day being 24 hours.
bool ReadCell(const Cell& cell, bool& value);
bool ReadCell(const Cell& cell, int32_t& value);
bool ReadCell(const Cell& cell, int64_t& value);
bool ReadCell(const Cell& cell, double& value);
bool ReadCell(const Cell& cell, std::string& value);
bool ReadCell(const Cell& cell, Bytea& value);
bool ReadCell(const Cell& cell, absl::Time& value);
bool ReadCell(const Cell& cell, absl::Duration& value);

/// Splits a one-dimensional array into its elements; nothing when the cell is no such array.
std::optional<std::vector<Cell>> ArrayElements(const Cell& cell);

/// NULL becomes an empty optional.
template <typename T>
bool ReadCell(const Cell& cell, std::optional<T>& value) {
  value.reset();
  return cell.is_null || ReadCell(cell, value.emplace());
}

/// Arrays of the types above; NULL elements need std::optional.
template <typename T>
bool ReadCell(const Cell& cell, std::vector<T>& values) {
  const auto elements = ArrayElements(cell);
  if (!elements) return false;
  values.clear();
  for (const Cell& element : *elements) {
    T value{};
    if constexpr (!requires { value.has_value(); }) {
      if (element.is_null) return false;
    }
    if (!ReadCell(element, value)) return false;
    values.push_back(std::move(value));
  }
  return true;
}

}  // namespace coder::pg
