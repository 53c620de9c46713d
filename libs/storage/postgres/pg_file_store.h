#pragma once

#include <string>

#include "libs/pg/pool.h"
#include "libs/storage/file_store.h"

namespace coder::storage {

/// FileStore over PostgreSQL.
class PgFileStore final : public FileStore {
 public:
  /// The pool must outlive it.
  explicit PgFileStore(pg::Pool& pool) : pool_(pool) {}

  absl::StatusOr<lifecycle::FileId> Put(const NewFile& file, clock::Deadline deadline) override;
  absl::StatusOr<std::string> LoadSource(lifecycle::TemplateVersionId version,
                                         clock::Deadline deadline) override;

 private:
  pg::Pool& pool_;
};

}  // namespace coder::storage
