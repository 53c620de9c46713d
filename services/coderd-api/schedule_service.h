#pragma once

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coder/api/v1/schedule.grpc.pb.h"
#include "libs/clock/clock.h"
#include "libs/ids/uuid.h"
#include "libs/schedule/cron.h"
#include "libs/schedule/quiet_hours.h"
#include "libs/storage/blackout_store.h"
#include "libs/storage/organization_store.h"
#include "libs/storage/schedule_store.h"
#include "libs/storage/user_store.h"
#include "libs/storage/workspace_store.h"
#include "services/coderd-api/call.h"

namespace coder::api {

/// What workspaces do by themselves, beyond their own fields. Thread-safe.
class ScheduleService final : public v1::ScheduleService::Service {
 public:
  static constexpr char kName[] = "coder.api.v1.ScheduleService";

  /// What it works with; all must outlive the service.
  struct Parts {
    const CallGate& gate;
    storage::WorkspaceStore& workspaces;
    storage::ScheduleStore& schedules;
    storage::BlackoutStore& blackouts;
    storage::UserStore& users;
    storage::OrganizationStore& organizations;
    ids::UuidV7Generator& ids;
    clock::Clock& clock;
    schedule::QuietHoursTerms quiet_hours;
  };

  explicit ScheduleService(Parts parts) : parts_(std::move(parts)) {}

  grpc::Status PreviewSchedule(grpc::ServerContext* context,
                               const v1::PreviewScheduleRequest* request,
                               v1::PreviewScheduleResponse* response) override;
  grpc::Status SkipNextAutostart(grpc::ServerContext* context,
                                 const v1::SkipNextAutostartRequest* request,
                                 v1::SkipNextAutostartResponse* response) override;
  grpc::Status RecordActivity(grpc::ServerContext* context,
                              const v1::RecordActivityRequest* request,
                              v1::RecordActivityResponse* response) override;
  grpc::Status GetQuietHours(grpc::ServerContext* context, const v1::GetQuietHoursRequest* request,
                             v1::GetQuietHoursResponse* response) override;
  grpc::Status SetQuietHours(grpc::ServerContext* context, const v1::SetQuietHoursRequest* request,
                             v1::SetQuietHoursResponse* response) override;
  grpc::Status CreateBlackout(grpc::ServerContext* context,
                              const v1::CreateBlackoutRequest* request,
                              v1::CreateBlackoutResponse* response) override;
  grpc::Status ListBlackouts(grpc::ServerContext* context, const v1::ListBlackoutsRequest* request,
                             v1::ListBlackoutsResponse* response) override;
  grpc::Status DeleteBlackout(grpc::ServerContext* context,
                              const v1::DeleteBlackoutRequest* request,
                              v1::DeleteBlackoutResponse* response) override;

 private:
  // A schedule to preview, the rules it is held against and the moment to look from.
  struct Subject {
    schedule::Cron schedule;
    lifecycle::LifecycleSnapshot rules;
    absl::Time now;
  };

  absl::StatusOr<Subject> SubjectOf(const CallContext& call,
                                    const v1::PreviewScheduleRequest& request);
  absl::StatusOr<storage::TemplateSchedule> LoadTemplate(const CallContext& call,
                                                         const std::string& id,
                                                         auth::Action action);
  absl::StatusOr<absl::TimeZone> ZoneOf(const CallContext& call, const std::string& name);
  absl::Status Preview(const CallContext& call, const v1::PreviewScheduleRequest& request,
                       v1::PreviewScheduleResponse& response);
  absl::Status ShowQuietHours(const CallContext& call, const storage::UserRecord& user,
                              v1::QuietHours& out);
  absl::Status ChangeQuietHours(const CallContext& call, const v1::SetQuietHoursRequest& request,
                                v1::QuietHours& out);
  absl::Status Create(const CallContext& call, const v1::CreateBlackoutRequest& request,
                      v1::Blackout& out);

  const Parts parts_;
};

}  // namespace coder::api
