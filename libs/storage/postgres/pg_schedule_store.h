#pragma once

#include <optional>
#include <string>

#include "libs/pg/pool.h"
#include "libs/storage/schedule_store.h"

namespace coder::storage {

/// ScheduleStore in PostgreSQL.
class PgScheduleStore final : public ScheduleStore {
 public:
  /// The pool must outlive the store.
  explicit PgScheduleStore(pg::Pool& pool) : pool_(pool) {}

  absl::StatusOr<ScheduleView> View(const lifecycle::WorkspaceId& id,
                                    clock::Deadline deadline) override;
  absl::StatusOr<TemplateSchedule> ViewTemplate(const lifecycle::TemplateId& id,
                                                clock::Deadline deadline) override;
  absl::StatusOr<SkippedStarts> SkipStarts(const lifecycle::WorkspaceId& id, int count,
                                           clock::Deadline deadline) override;
  absl::StatusOr<RecordedActivity> RecordActivity(const lifecycle::WorkspaceId& id,
                                                  const std::string& agent,
                                                  clock::Deadline deadline) override;
  absl::StatusOr<std::optional<std::string>> QuietHours(const lifecycle::UserId& user,
                                                        clock::Deadline deadline) override;
  absl::Status SetQuietHours(const lifecycle::UserId& user,
                             const std::optional<std::string>& schedule,
                             clock::Deadline deadline) override;

 private:
  pg::Pool& pool_;
};

}  // namespace coder::storage
