#pragma once

#include <google/protobuf/message.h>
#include <google/protobuf/timestamp.pb.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace coder::cli {

enum class OutputFormat { kTable, kJson };

/// Rows under a header, printed with aligned columns.
class Table {
 public:
  explicit Table(std::vector<std::string> header);
  /// Adds one row of as many cells as the header has.
  void AddRow(std::vector<std::string> cells);
  /// The table as text, one line a row, without trailing spaces.
  std::string ToString() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

/// The message as JSON with the proto's field names; on one line when `compact`.
std::string ToJson(const google::protobuf::Message& message, bool compact);

/// Prints data to standard output: the table, or the whole response as JSON.
void Print(OutputFormat format, const Table& table, const google::protobuf::Message& message);

/// "2026-03-01 09:00:05 UTC", or "-" when unset.
std::string FormatTime(const google::protobuf::Timestamp& time, bool is_set);

/// "3m ago", or "-" when unset.
std::string FormatAge(const google::protobuf::Timestamp& time, bool is_set, absl::Time now);

/// `text` with control characters replaced, so that a name or log line cannot steer the terminal.
std::string Printable(const std::string& text);

/// What went wrong, why, and what to do, in three lines for standard error.
std::string FormatError(const absl::Status& status);

/// The process's exit code for an error: 0 ok; 2 usage; 3 not found; 4 not logged in or not
/// allowed; 5 refused in the current state; 6 not reachable or too slow; 130 interrupted; 1
/// anything else.
int ExitCode(const absl::Status& status);

}  // namespace coder::cli
