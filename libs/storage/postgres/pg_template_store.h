#pragma once

#include <optional>
#include <string>
#include <vector>

#include "libs/pg/pool.h"
#include "libs/storage/template_store.h"

namespace coder::storage {

/// TemplateStore over PostgreSQL.
class PgTemplateStore final : public TemplateStore {
 public:
  /// The pool must outlive it.
  explicit PgTemplateStore(pg::Pool& pool) : pool_(pool) {}

  absl::StatusOr<TemplateRecord> Create(const NewTemplate& made,
                                        const std::optional<RequestKey>& request,
                                        clock::Deadline deadline) override;
  absl::StatusOr<TemplateRecord> Get(lifecycle::TemplateId id, clock::Deadline deadline) override;
  absl::StatusOr<TemplateRecord> FindByName(const std::string& organization,
                                            const std::string& name,
                                            clock::Deadline deadline) override;
  absl::StatusOr<std::vector<TemplateRecord>> List(const auth::Scope& scope,
                                                   const std::string& organization,
                                                   const std::optional<TemplatePageKey>& after,
                                                   int limit, clock::Deadline deadline) override;
  absl::StatusOr<TemplateRecord> Update(lifecycle::TemplateId id, int64_t revision,
                                        const TemplateSettings& settings,
                                        clock::Deadline deadline) override;
  absl::StatusOr<TemplateRecord> Promote(lifecycle::TemplateId id,
                                         lifecycle::TemplateVersionId version,
                                         clock::Deadline deadline) override;
  absl::Status Delete(lifecycle::TemplateId id, clock::Deadline deadline) override;

 private:
  pg::Pool& pool_;
};

}  // namespace coder::storage
