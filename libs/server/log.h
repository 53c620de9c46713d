#pragma once

#include <concepts>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/server/secret.h"

// Structured logging for the whole process: one line per event on stderr, JSON or text.
// Every function may be called from any thread at any time; a line is one write.
namespace coder::log {

enum class Level {
  kDebug,
  kInfo,
  kWarn,
  kError,
  kOff,  // writes nothing; for tests that provoke thousands of errors
};

enum class Format {
  kAuto,  // text where stderr is a terminal, else JSON
  kJson,
  kText,
};

// One key and value of a log line. Keys are lower snake case; ts, level, msg and service are taken.
class Field {
 public:
  using Value = std::variant<std::string, int64_t, double, bool>;

  Field(std::string_view key, std::string value) : key(key), value(std::move(value)) {}
  Field(std::string_view key, std::string_view text) : key(key), value(std::string(text)) {}
  Field(std::string_view key, absl::string_view text) : key(key), value(std::string(text)) {}
  Field(std::string_view key, const char* text) : key(key), value(std::string(text)) {}
  Field(std::string_view key, bool flag) : key(key), value(flag) {}
  Field(std::string_view key, double number) : key(key), value(number) {}
  template <std::integral T>
  requires(!std::same_as<T, bool>) Field(std::string_view key, T number)
      : key(key), value(static_cast<int64_t>(number)) {}
  // In seconds.
  Field(std::string_view key, absl::Duration d) : key(key), value(absl::ToDoubleSeconds(d)) {}
  // RFC 3339, UTC.
  Field(std::string_view key, absl::Time t);
  // Code and message; the payloads stay out.
  Field(std::string_view key, const absl::Status& status);
  // Always "***".
  Field(std::string_view key, const server::Secret&) : key(key), value(std::string("***")) {}

  std::string key;
  Value value;
};

using Fields = std::initializer_list<Field>;

// Sets the service name and the form of all later lines. Called once, before threads start.
void Configure(std::string service, Format format, Level level);

// Changes what is written from now on: `level` and above.
void SetLevel(Level level);
Level CurrentLevel();

void Debug(std::string_view message, Fields fields = {});
void Info(std::string_view message, Fields fields = {});
void Warn(std::string_view message, Fields fields = {});
void Error(std::string_view message, Fields fields = {});
// For callers that decide the level or the number of fields as they go.
void Write(Level level, std::string_view message, const Field* fields, size_t count);

// "debug", "info", "warn", "error"; INVALID_ARGUMENT names the text and the choices.
absl::StatusOr<Level> ParseLevel(std::string_view text);
std::string_view LevelName(Level level);
// "auto", "json", "text"; INVALID_ARGUMENT as above.
absl::StatusOr<Format> ParseFormat(std::string_view text);

// One line as it would be written, without the line end.
std::string FormatLine(Format format, std::string_view service, absl::Time time, Level level,
                       std::string_view message, const Field* fields, size_t count);

// While alive, whole lines (without the line end) go to `sink` instead of stderr. For tests that
// check what may not be logged. One at a time; the sink is called under the log's lock.
class ScopedCapture {
 public:
  explicit ScopedCapture(std::function<void(const std::string&)> sink);
  ~ScopedCapture();
  ScopedCapture(const ScopedCapture&) = delete;
  ScopedCapture& operator=(const ScopedCapture&) = delete;
};

}  // namespace coder::log
