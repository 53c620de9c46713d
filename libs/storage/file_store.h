#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "libs/clock/deadline.h"
#include "libs/lifecycle/ids.h"

namespace coder::storage {

/// An archive on its way in; whoever stores it has checked it.
struct NewFile {
  lifecycle::FileId id;
  lifecycle::UserId creator;
  /// The digest of `data`, 32 bytes.
  std::string sha256;
  std::string media_type;
  /// At most 10 MiB.
  std::string data;
};

/// Uploaded archives. Safe to call from many threads. Every method may return, besides what it
/// lists: UNAVAILABLE, DEADLINE_EXCEEDED, ABORTED, RESOURCE_EXHAUSTED (too many callers wait for
/// the database), UNKNOWN (the connection broke while committing).
class FileStore {
 public:
  virtual ~FileStore() = default;

  /// Stores the file, unless its creator has stored the same bytes before. Returns the id it is
  /// found under: the given one, or the earlier one.
  ///   FAILED_PRECONDITION  there is no such creator
  virtual absl::StatusOr<lifecycle::FileId> Put(const NewFile& file, clock::Deadline deadline) = 0;

  /// The archive a template version was made of.
  ///   NOT_FOUND  there is no such version
  virtual absl::StatusOr<std::string> LoadSource(lifecycle::TemplateVersionId version,
                                                 clock::Deadline deadline) = 0;
};

}  // namespace coder::storage
