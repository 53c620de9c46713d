#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace coder::provisionerd {

// Tolerant readers of JSON that an engine wrote: a missing, null or differently typed field reads
// as the given default, because fields that are unknown before an apply are absent.

using Json = nlohmann::json;

// The member, or a null value.
inline const Json& Field(const Json& object, const char* key) {
  static const Json kNull;
  if (!object.is_object()) return kNull;
  const auto it = object.find(key);
  return it == object.end() ? kNull : *it;
}

inline std::string Text(const Json& object, const char* key, std::string otherwise = "") {
  const Json& field = Field(object, key);
  return field.is_string() ? field.get<std::string>() : otherwise;
}

inline std::int64_t Number(const Json& object, const char* key, std::int64_t otherwise = 0) {
  const Json& field = Field(object, key);
  if (field.is_number_integer()) return field.get<std::int64_t>();
  // The bounds are those of a double that converts without overflow.
  if (field.is_number_float() && field.get<double>() > -9e18 && field.get<double>() < 9e18) {
    return static_cast<std::int64_t>(field.get<double>());
  }
  return otherwise;
}

inline std::int32_t SmallNumber(const Json& object, const char* key) {
  const std::int64_t number = Number(object, key);
  if (number > INT32_MAX) return INT32_MAX;
  return number < INT32_MIN ? INT32_MIN : static_cast<std::int32_t>(number);
}

inline bool Flag(const Json& object, const char* key, bool otherwise = false) {
  const Json& field = Field(object, key);
  return field.is_boolean() ? field.get<bool>() : otherwise;
}

// The member if it is a list, else an empty list.
inline const Json& List(const Json& object, const char* key) {
  static const Json kEmpty = Json::array();
  const Json& field = Field(object, key);
  return field.is_array() ? field : kEmpty;
}

}  // namespace coder::provisionerd
