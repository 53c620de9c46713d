#include "libs/events/build_enums.h"

namespace coder::events {
namespace {

using lifecycle::BuildReason;
using lifecycle::BuildTransition;
using lifecycle::JobStatus;

// Both sides list their values in the same order, the stored one after its unspecified zero; the
// assertions keep it so.
template <typename Proto, typename Value>
constexpr Proto Shifted(Value value) {
  return static_cast<Proto>(static_cast<int>(value) + 1);
}
static_assert(Shifted<v1::BuildTransition>(BuildTransition::kStart) == v1::BUILD_TRANSITION_START);
static_assert(Shifted<v1::BuildTransition>(BuildTransition::kStop) == v1::BUILD_TRANSITION_STOP);
static_assert(Shifted<v1::BuildTransition>(BuildTransition::kDelete) ==
              v1::BUILD_TRANSITION_DELETE);
static_assert(Shifted<v1::JobStatus>(JobStatus::kPending) == v1::JOB_STATUS_PENDING);
static_assert(Shifted<v1::JobStatus>(JobStatus::kRunning) == v1::JOB_STATUS_RUNNING);
static_assert(Shifted<v1::JobStatus>(JobStatus::kSucceeded) == v1::JOB_STATUS_SUCCEEDED);
static_assert(Shifted<v1::JobStatus>(JobStatus::kCanceling) == v1::JOB_STATUS_CANCELING);
static_assert(Shifted<v1::JobStatus>(JobStatus::kCanceled) == v1::JOB_STATUS_CANCELED);
static_assert(Shifted<v1::JobStatus>(JobStatus::kFailed) == v1::JOB_STATUS_FAILED);
static_assert(Shifted<v1::BuildReason>(BuildReason::kInitiator) == v1::BUILD_REASON_INITIATOR);
static_assert(Shifted<v1::BuildReason>(BuildReason::kAutostart) == v1::BUILD_REASON_AUTOSTART);
static_assert(Shifted<v1::BuildReason>(BuildReason::kAutostop) == v1::BUILD_REASON_AUTOSTOP);
static_assert(Shifted<v1::BuildReason>(BuildReason::kDormancy) == v1::BUILD_REASON_DORMANCY);
static_assert(Shifted<v1::BuildReason>(BuildReason::kFailedStop) == v1::BUILD_REASON_FAILEDSTOP);
static_assert(Shifted<v1::BuildReason>(BuildReason::kAutodelete) == v1::BUILD_REASON_AUTODELETE);
static_assert(Shifted<v1::BuildReason>(BuildReason::kDashboard) == v1::BUILD_REASON_DASHBOARD);
static_assert(Shifted<v1::BuildReason>(BuildReason::kCli) == v1::BUILD_REASON_CLI);
static_assert(Shifted<v1::BuildReason>(BuildReason::kSshConnection) ==
              v1::BUILD_REASON_SSH_CONNECTION);
static_assert(Shifted<v1::BuildReason>(BuildReason::kVscodeConnection) ==
              v1::BUILD_REASON_VSCODE_CONNECTION);
static_assert(Shifted<v1::BuildReason>(BuildReason::kJetbrainsConnection) ==
              v1::BUILD_REASON_JETBRAINS_CONNECTION);

template <typename Value>
std::optional<Value> Unshifted(int number, Value last) {
  if (number < 1 || number > static_cast<int>(last) + 1) return std::nullopt;
  return static_cast<Value>(number - 1);
}

}  // namespace

v1::BuildTransition ToProto(BuildTransition value) { return Shifted<v1::BuildTransition>(value); }
v1::JobStatus ToProto(JobStatus value) { return Shifted<v1::JobStatus>(value); }
v1::BuildReason ToProto(BuildReason value) { return Shifted<v1::BuildReason>(value); }

std::optional<BuildTransition> FromProto(v1::BuildTransition value) {
  return Unshifted(value, BuildTransition::kDelete);
}
std::optional<JobStatus> FromProto(v1::JobStatus value) {
  return Unshifted(value, JobStatus::kFailed);
}
std::optional<BuildReason> FromProto(v1::BuildReason value) {
  return Unshifted(value, BuildReason::kJetbrainsConnection);
}

}  // namespace coder::events
