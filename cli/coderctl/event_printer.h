#pragma once

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/coderctl/output.h"
#include "coder/api/v1/watch.pb.h"

namespace coder::cli {

/// Where a watch ends by itself.
struct WatchBound {
  /// After so many events; 0: never for that reason.
  int64_t count = 0;
  /// Only events that took place before it.
  absl::Time until = absl::InfiniteFuture();
  /// Nothing after this position.
  std::optional<int64_t> position;
  /// The end of the log when the watch begins; whoever reads this sets `position`.
  bool at_head = false;
};

/// Reads `--until`: `now`, a time, a position or a resume token. INVALID_ARGUMENT for anything
/// else.
absl::StatusOr<WatchBound> ParseUntil(const std::string& text);

/// Prints what a watch brings, up to its bound, and remembers where to go on. One thread.
class EventPrinter {
 public:
  /// `out` must outlive the printer.
  EventPrinter(OutputFormat output, WatchBound bound, std::ostream& out)
      : output_(output), bound_(bound), out_(out) {}

  /// Prints and flushes a response; whether the bound is reached. DATA_LOSS when it cannot be
  /// written; the token then stays before it.
  absl::StatusOr<bool> Print(const api::v1::WatchAllWorkspaceBuildsResponse& response);

  /// Whether the end of the log has to be asked for, because the time of the bound has come.
  bool WantsHead(absl::Time now) const { return now >= bound_.until && !bound_.position; }
  /// Nothing after `position` is wanted.
  void EndAt(int64_t position) { bound_.position = position; }

  /// Resumes after what was printed; empty before the first.
  const std::string& token() const { return token_; }

 private:
  bool IsPast(const api::v1::WatchedBuildEvent& watched) const;
  void PrintWatched(const api::v1::WatchedBuildEvent& watched);
  void PrintLine(const std::string& position, const events::v1::BuildEvent& event);

  const OutputFormat output_;
  WatchBound bound_;
  std::ostream& out_;
  int64_t seen_ = 0;
  // An event was left out because of its time; the token stays before it.
  bool passed_over_ = false;
  std::string token_;
};

/// A file that keeps the token a watch goes on from, over its runs.
class TokenFile {
 public:
  /// Empty: nothing is kept.
  explicit TokenFile(std::string path) : path_(std::move(path)) {}

  /// The token, empty when there is no file or nothing in it. INTERNAL: it cannot be read.
  absl::StatusOr<std::string> Load() const;
  /// Replaces the token in one step. INTERNAL: it cannot be written.
  absl::Status Save(const std::string& token) const;

 private:
  const std::string path_;
};

}  // namespace coder::cli
