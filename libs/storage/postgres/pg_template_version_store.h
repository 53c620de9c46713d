#pragma once

#include <optional>
#include <vector>

#include "libs/pg/pool.h"
#include "libs/storage/template_version_store.h"

namespace coder::storage {

/// TemplateVersionStore over PostgreSQL.
class PgTemplateVersionStore final : public TemplateVersionStore {
 public:
  /// The pool must outlive it.
  explicit PgTemplateVersionStore(pg::Pool& pool) : pool_(pool) {}

  absl::StatusOr<TemplateVersionRecord> Create(const NewTemplateVersion& version,
                                               const std::optional<RequestKey>& request,
                                               clock::Deadline deadline) override;
  absl::StatusOr<TemplateVersionRecord> Get(lifecycle::TemplateVersionId id,
                                            clock::Deadline deadline) override;
  absl::StatusOr<std::vector<TemplateVersionRecord>> List(
      const VersionFilter& filter, const std::optional<VersionPageKey>& after, int limit,
      clock::Deadline deadline) override;
  absl::StatusOr<std::vector<ParameterRecord>> ListParameters(lifecycle::TemplateVersionId id,
                                                              clock::Deadline deadline) override;
  absl::StatusOr<std::vector<ResourceView>> ListResources(lifecycle::TemplateVersionId id,
                                                          clock::Deadline deadline) override;
  absl::StatusOr<TemplateVersionRecord> CancelImport(lifecycle::TemplateVersionId id,
                                                     clock::Deadline deadline) override;
  absl::StatusOr<TemplateVersionRecord> SetArchived(lifecycle::TemplateVersionId id, bool archived,
                                                    clock::Deadline deadline) override;

 private:
  pg::Pool& pool_;
};

}  // namespace coder::storage
