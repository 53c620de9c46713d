#include "libs/server/log.h"

#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <mutex>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace coder::log {
namespace {

struct State {
  std::mutex mutex;
  std::string service = "coder";
  Format format = Format::kJson;
  std::function<void(const std::string&)> sink;
  std::atomic<Level> level{Level::kInfo};
};

// Never destroyed: threads of other libraries may still log while the process exits.
State& TheState() {
  static State* state = new State;
  return *state;
}

absl::Time LineTime() {
  // A log line tells when it was written in the real world, whatever clock the code is given.
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return absl::TimeFromTimespec(now);
}

void AppendJsonString(std::string& out, std::string_view text) {
  out.push_back('"');
  for (unsigned char c : text) {
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(static_cast<char>(c));
    } else if (c == '\n') {
      out += "\\n";
    } else if (c < 0x20 || c == 0x7f) {
      absl::StrAppendFormat(&out, "\\u%04x", c);
    } else {
      out.push_back(static_cast<char>(c));
    }
  }
  out.push_back('"');
}

std::string NumberText(double number) {
  return std::isfinite(number) ? absl::StrFormat("%.9g", number) : std::string("null");
}

void AppendValue(std::string& out, const Field::Value& value, bool quote_always) {
  if (const auto* text = std::get_if<std::string>(&value)) {
    const bool plain = !quote_always && !text->empty() &&
                       text->find_first_of(" \t\n\r\"\\=\x1b") == std::string::npos;
    if (plain) {
      out += *text;
    } else {
      AppendJsonString(out, *text);
    }
  } else if (const auto* number = std::get_if<int64_t>(&value)) {
    absl::StrAppend(&out, *number);
  } else if (const auto* real = std::get_if<double>(&value)) {
    out += NumberText(*real);
  } else {
    out += std::get<bool>(value) ? "true" : "false";
  }
}

std::string TimeText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", time, absl::UTCTimeZone());
}

void WriteAll(const std::string& line) {
  // A log line that cannot be written has nowhere to complain to.
  [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace

Field::Field(std::string_view key, absl::Time t) : key(key), value(TimeText(t)) {}

Field::Field(std::string_view key, const absl::Status& status)
    : key(key), value(status.ToString(absl::StatusToStringMode::kWithNoExtraData)) {}

void Configure(std::string service, Format format, Level level) {
  State& state = TheState();
  std::lock_guard lock(state.mutex);
  state.service = std::move(service);
  if (format == Format::kAuto) format = isatty(STDERR_FILENO) ? Format::kText : Format::kJson;
  state.format = format;
  state.level = level;
}

void SetLevel(Level level) { TheState().level = level; }
Level CurrentLevel() { return TheState().level; }

void Write(Level level, std::string_view message, const Field* fields, size_t count) {
  State& state = TheState();
  if (level < state.level.load(std::memory_order_relaxed)) return;
  std::lock_guard lock(state.mutex);
  std::string line =
      FormatLine(state.format, state.service, LineTime(), level, message, fields, count);
  if (state.sink) {
    state.sink(line);
    return;
  }
  line.push_back('\n');
  WriteAll(line);
}

void Debug(std::string_view message, Fields fields) {
  Write(Level::kDebug, message, fields.begin(), fields.size());
}
void Info(std::string_view message, Fields fields) {
  Write(Level::kInfo, message, fields.begin(), fields.size());
}
void Warn(std::string_view message, Fields fields) {
  Write(Level::kWarn, message, fields.begin(), fields.size());
}
void Error(std::string_view message, Fields fields) {
  Write(Level::kError, message, fields.begin(), fields.size());
}

std::string_view LevelName(Level level) {
  switch (level) {
    case Level::kDebug:
      return "debug";
    case Level::kInfo:
      return "info";
    case Level::kWarn:
      return "warn";
    case Level::kError:
      return "error";
    case Level::kOff:
      return "off";
  }
  return "info";
}

absl::StatusOr<Level> ParseLevel(std::string_view text) {
  for (Level level : {Level::kDebug, Level::kInfo, Level::kWarn, Level::kError}) {
    if (text == LevelName(level)) return level;
  }
  return absl::InvalidArgumentError(absl::StrCat("log level \"", std::string(text),
                                                 "\" is unknown; use debug, info, warn or error"));
}

absl::StatusOr<Format> ParseFormat(std::string_view text) {
  if (text == "auto") return Format::kAuto;
  if (text == "json") return Format::kJson;
  if (text == "text") return Format::kText;
  return absl::InvalidArgumentError(
      absl::StrCat("log format \"", std::string(text), "\" is unknown; use auto, json or text"));
}

std::string FormatLine(Format format, std::string_view service, absl::Time time, Level level,
                       std::string_view message, const Field* fields, size_t count) {
  std::string out;
  if (format == Format::kText) {
    out = absl::StrFormat("%s %-5s ", TimeText(time), std::string(LevelName(level)));
    // A message may carry what a client sent; control characters must not reach a terminal.
    for (unsigned char c : message)
      out.push_back(c < 0x20 || c == 0x7f ? '?' : static_cast<char>(c));
    for (size_t i = 0; i < count; ++i) {
      absl::StrAppend(&out, "  ", fields[i].key, "=");
      AppendValue(out, fields[i].value, false);
    }
    return out;
  }
  absl::StrAppend(&out, "{\"ts\":\"", TimeText(time), "\",\"level\":\"",
                  std::string(LevelName(level)), "\",\"msg\":");
  AppendJsonString(out, message);
  out += ",\"service\":";
  AppendJsonString(out, service);
  for (size_t i = 0; i < count; ++i) {
    out.push_back(',');
    AppendJsonString(out, fields[i].key);
    out.push_back(':');
    AppendValue(out, fields[i].value, true);
  }
  out.push_back('}');
  return out;
}

ScopedCapture::ScopedCapture(std::function<void(const std::string&)> sink) {
  State& state = TheState();
  std::lock_guard lock(state.mutex);
  state.sink = std::move(sink);
}

ScopedCapture::~ScopedCapture() {
  State& state = TheState();
  std::lock_guard lock(state.mutex);
  state.sink = nullptr;
}

}  // namespace coder::log
