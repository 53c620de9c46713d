#include "cli/coderctl/scaletest/progress.h"

#include <unistd.h>

#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace coder::cli::scaletest {

Progress::Progress(clock::Clock& clock)
    : clock_(clock),
      terminal_(isatty(STDERR_FILENO) == 1),
      thread_([this](const std::stop_token& stop) { Run(stop); }) {}

void Progress::Begin(const std::string& phase, int total, std::function<std::string()> note) {
  const std::lock_guard lock(mutex_);
  Print(/*last=*/true);
  phase_ = phase;
  note_ = std::move(note);
  begun_ = clock_.MonotonicNow();
  total_ = total;
  done_ = 0;
  failed_ = 0;
}

void Progress::Done() {
  const std::lock_guard lock(mutex_);
  ++done_;
}

void Progress::Failed() {
  const std::lock_guard lock(mutex_);
  ++failed_;
}

void Progress::SetDone(int done) {
  const std::lock_guard lock(mutex_);
  done_ = done;
}

void Progress::End() { Begin("", 0); }

void Progress::Run(const std::stop_token& stop) {
  while (clock_.Wait(terminal_ ? absl::Seconds(1) : absl::Seconds(5), stop)) {
    const std::lock_guard lock(mutex_);
    Print(/*last=*/false);
  }
}

std::string Progress::Line() {
  const double seconds = absl::ToDoubleSeconds(clock_.MonotonicNow() - begun_);
  const double rate = seconds > 0 ? done_ / seconds : 0;
  std::string line = absl::StrFormat("%-10s", phase_);
  if (total_ > 0) {
    absl::StrAppendFormat(&line, " %d/%d  %.1f/s", done_, total_, rate);
  } else if (done_ > 0) {
    absl::StrAppendFormat(&line, " %d  %.1f/s", done_, rate);
  }
  absl::StrAppendFormat(&line, "  %.0f s", seconds);
  const int left = total_ - done_ - failed_;
  if (left > 0 && rate > 0) absl::StrAppendFormat(&line, "  ETA %.0f s", left / rate);
  if (failed_ > 0) absl::StrAppend(&line, "  errors ", failed_);
  if (note_) absl::StrAppend(&line, "  ", note_());
  return line;
}

void Progress::Print(bool last) {
  if (phase_.empty()) return;
  // Erases the rest of the line before.
  if (terminal_) std::cerr << "\r\x1b[K" << Line() << (last ? "\n" : "") << std::flush;
  if (!terminal_) std::cerr << Line() << std::endl;
}

}  // namespace coder::cli::scaletest
