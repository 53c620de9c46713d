#include "libs/storage/postgres/pg_file_store.h"

#include "absl/strings/str_cat.h"
#include "libs/auth/policy.h"
#include "libs/pg/transaction.h"
#include "libs/status/status_macros.h"

namespace coder::storage {
namespace {

using lifecycle::FileId;

constexpr char kInsert[] = R"sql(
  INSERT INTO files (id, sha256, created_by, media_type, data) VALUES ($1, $2, $3, $4, $5)
  ON CONFLICT (sha256, created_by) DO NOTHING)sql";

// A statement of its own: it sees the row of whoever was first.
constexpr char kFind[] = "SELECT id::text FROM files WHERE sha256 = $1 AND created_by = $2";

constexpr char kSource[] = R"sql(
  SELECT f.data FROM template_versions v
  JOIN provisioner_jobs j ON j.id = v.job_id
  JOIN files f ON f.id = j.file_id
  WHERE v.id = $1)sql";

}  // namespace

absl::StatusOr<FileId> PgFileStore::Put(const NewFile& file, clock::Deadline deadline) {
  const pg::Bytea digest{file.sha256};
  const std::string creator = file.creator.ToString();
  return pg::RunInTransaction(
      pool_, {.deadline = deadline}, [&](pg::Transaction& tx) -> absl::StatusOr<FileId> {
        RETURN_IF_ERROR(tx.Execute(kInsert, {file.id.ToString(), digest, creator, file.media_type,
                                             pg::Bytea{file.data}})
                            .status());
        ASSIGN_OR_RETURN(const pg::Result found, tx.Execute(kFind, {digest, creator}));
        return FileId::Parse(found.Get<std::string>(0, 0));
      });
}

absl::StatusOr<std::string> PgFileStore::LoadSource(lifecycle::TemplateVersionId version,
                                                    clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result found, pool_.Execute(kSource, {version.ToString()}, deadline));
  if (found.empty()) {
    return auth::NotFound(absl::StrCat("template version ", version.ToString()));
  }
  return found.Get<pg::Bytea>(0, 0).bytes;
}

}  // namespace coder::storage
