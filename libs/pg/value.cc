#include "libs/pg/value.h"

#include <bit>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace coder::pg {
namespace {

// Object ids of built-in types are fixed (pg_type.dat).
enum : uint32_t {
  kBool = 16,
  kBytea = 17,
  kChar = 18,
  kName = 19,
  kInt8 = 20,
  kInt2 = 21,
  kInt4 = 23,
  kText = 25,
  kJson = 114,
  kFloat4 = 700,
  kFloat8 = 701,
  kUnknown = 705,
  kBpchar = 1042,
  kVarchar = 1043,
  kTimestamp = 1114,
  kTimestamptz = 1184,
  kInterval = 1186,
  kUuid = 2950,
  kJsonb = 3802,
  kFirstUserDefined = 16384,
};

uint64_t BigEndian(std::string_view bytes) {
  uint64_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

int64_t Signed(std::string_view bytes) {
  const uint64_t value = BigEndian(bytes);
  if (bytes.size() == 2) return static_cast<int16_t>(value);
  if (bytes.size() == 4) return static_cast<int32_t>(value);
  return static_cast<int64_t>(value);
}

std::string UuidText(std::string_view bytes) {
  const std::string hex = absl::BytesToHexString(absl::string_view(bytes.data(), bytes.size()));
  const absl::string_view h = hex;
  return absl::StrCat(h.substr(0, 8), "-", h.substr(8, 4), "-", h.substr(12, 4), "-",
                      h.substr(16, 4), "-", h.substr(20));
}

}  // namespace

bool ReadCell(const Cell& cell, bool& value) {
  if (cell.type_oid != kBool || cell.bytes.size() != 1) return false;
  value = cell.bytes[0] != 0;
  return true;
}

bool ReadCell(const Cell& cell, int32_t& value) {
  if (cell.type_oid != kInt2 && cell.type_oid != kInt4) return false;
  value = static_cast<int32_t>(Signed(cell.bytes));
  return true;
}

bool ReadCell(const Cell& cell, int64_t& value) {
  if (cell.type_oid != kInt2 && cell.type_oid != kInt4 && cell.type_oid != kInt8) return false;
  value = Signed(cell.bytes);
  return true;
}

bool ReadCell(const Cell& cell, double& value) {
  if (cell.type_oid == kFloat8) {
    value = std::bit_cast<double>(BigEndian(cell.bytes));
    return true;
  }
  if (cell.type_oid != kFloat4) return false;
  value = std::bit_cast<float>(static_cast<uint32_t>(BigEndian(cell.bytes)));
  return true;
}

bool ReadCell(const Cell& cell, std::string& value) {
  switch (cell.type_oid) {
    case kBytea:
    case kChar:
    case kName:
    case kText:
    case kJson:
    case kUnknown:
    case kBpchar:
    case kVarchar:
      value = cell.bytes;
      return true;
    case kUuid:
      value = UuidText(cell.bytes);
      return true;
    case kJsonb:
      // One version byte precedes the text.
      value = cell.bytes.substr(1);
      return true;
    default:
      value = cell.bytes;
      return cell.type_oid >= kFirstUserDefined;
  }
}

bool ReadCell(const Cell& cell, Bytea& value) {
  value.bytes = cell.bytes;
  return cell.type_oid == kBytea;
}

bool ReadCell(const Cell& cell, absl::Time& value) {
  if (cell.type_oid != kTimestamptz && cell.type_oid != kTimestamp) return false;
  const int64_t micros = Signed(cell.bytes);
  if (micros == INT64_MAX) {
    value = absl::InfiniteFuture();
  } else if (micros == INT64_MIN) {
    value = absl::InfinitePast();
  } else {
    constexpr int64_t kPostgresEpochUnixSeconds = 946'684'800;  // 2000-01-01
    value = absl::FromUnixSeconds(kPostgresEpochUnixSeconds) + absl::Microseconds(micros);
  }
  return true;
}

bool ReadCell(const Cell& cell, absl::Duration& value) {
  if (cell.type_oid != kInterval || cell.bytes.size() != 16) return false;
  value = absl::Microseconds(Signed(cell.bytes.substr(0, 8))) +
          absl::Hours(24) * Signed(cell.bytes.substr(8, 4));
  return Signed(cell.bytes.substr(12, 4)) == 0;
}

std::optional<std::vector<Cell>> ArrayElements(const Cell& cell) {
  std::string_view in = cell.bytes;
  const auto take = [&](size_t size) {
    const std::string_view taken = in.substr(0, size);
    in.remove_prefix(std::min(size, in.size()));
    return taken;
  };
  if (cell.is_null || in.size() < 12) return std::nullopt;
  const int64_t dimensions = Signed(take(4));
  take(4);  // whether there are NULLs; each element says so itself
  const auto element_oid = static_cast<uint32_t>(BigEndian(take(4)));
  std::vector<Cell> elements;
  if (dimensions == 0) return elements;
  if (dimensions != 1 || in.size() < 8) return std::nullopt;
  const int64_t count = Signed(take(4));
  take(4);  // lower bound
  for (int64_t i = 0; i < count; ++i) {
    if (in.size() < 4) return std::nullopt;
    const int64_t size = Signed(take(4));
    if (size > static_cast<int64_t>(in.size())) return std::nullopt;
    elements.push_back({.type_oid = element_oid,
                        .is_null = size < 0,
                        .bytes = size < 0 ? std::string_view() : take(size)});
  }
  return elements;
}

}  // namespace coder::pg
